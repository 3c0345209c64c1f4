// Print what arrives on an account's queue.
//
//   dotnet run --project examples/csharp -- 'Endpoint=sb://…;EntityPath=user-…'
//
// A message is removed from the queue once its body is printed.

using Azure.Messaging.ServiceBus;

if (args.Length != 1)
{
    Console.Error.WriteLine("usage: dotnet run -- CONNECTION_STRING");
    Console.Error.WriteLine("The connection string stands on the card that `make run` prints.");
    return 1;
}
string? queue = null;
try
{
    queue = ServiceBusConnectionStringProperties.Parse(args[0]).EntityPath;
}
catch (FormatException)
{
    // Not a connection string at all: told below.
}
if (string.IsNullOrEmpty(queue))
{
    Console.Error.WriteLine("No queue's connection string, which ends in ;EntityPath=…: copy it whole.");
    return 1;
}

await using var client = new ServiceBusClient(args[0]);
await using ServiceBusProcessor processor = client.CreateProcessor(
    queue, new ServiceBusProcessorOptions { AutoCompleteMessages = false });
await using Stream output = Console.OpenStandardOutput();

processor.ProcessMessageAsync += async received =>
{
    ServiceBusReceivedMessage message = received.Message;
    foreach (string name in new[] { "iothub-connection-device-id", "device_name", "mid", "user_route" })
    {
        if (message.ApplicationProperties.TryGetValue(name, out object? value))
        {
            Console.WriteLine($"{name}: {value}");
        }
    }
    await output.WriteAsync(message.Body.ToMemory());
    await output.WriteAsync("\n\n"u8.ToArray());
    await output.FlushAsync();
    await received.CompleteMessageAsync(message);
};
processor.ProcessErrorAsync += failed =>
{
    Console.Error.WriteLine(failed.Exception.Message);
    return Task.CompletedTask;
};

var stop = new TaskCompletionSource();
Console.CancelKeyPress += (_, pressed) =>
{
    pressed.Cancel = true;
    stop.TrySetResult();
};
await processor.StartProcessingAsync();
Console.Error.WriteLine($"Waiting for messages on {queue}; Ctrl-C ends.");
await stop.Task;
await processor.StopProcessingAsync();
return 0;
