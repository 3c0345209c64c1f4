// Print what arrives on an account's queue.
//
//   node examples/node/read-queue.mjs 'Endpoint=sb://…;EntityPath=user-…'
//
// Needs @azure/service-bus. A message is removed from the queue once its body is printed.

import { ServiceBusClient, parseServiceBusConnectionString } from "@azure/service-bus";

const connection = process.argv[2];
if (!connection) {
  console.error("usage: node read-queue.mjs CONNECTION_STRING");
  console.error("The connection string stands on the card that `make run` prints.");
  process.exit(1);
}
let queue;
try {
  queue = parseServiceBusConnectionString(connection).entityPath;
} catch {
  // Not a connection string at all: told below.
}
if (!queue) {
  console.error("No queue's connection string, which ends in ;EntityPath=…: copy it whole.");
  process.exit(1);
}

const client = new ServiceBusClient(connection);
// The body is handed over as the bytes that the device sent, whatever its content type says.
const receiver = client.createReceiver(queue, { skipParsingBodyAsJson: true });

const subscription = receiver.subscribe({
  async processMessage(message) {
    for (const name of ["iothub-connection-device-id", "device_name", "mid", "user_route"]) {
      const value = message.applicationProperties?.[name];
      if (value !== undefined) console.log(`${name}: ${value}`);
    }
    process.stdout.write(message.body);
    process.stdout.write("\n\n");
  },
  async processError({ error }) {
    console.error(error.message);
  },
});
console.error(`Waiting for messages on ${queue}; Ctrl-C ends.`);

async function stop() {
  await subscription.close();
  await receiver.close();
  await client.close();
  process.exit(0);
}
process.once("SIGINT", stop);
process.once("SIGTERM", stop);
