// Runs the script of the page that an invitation's link opens, as a browser would.
// Arguments: the page's URL with the token, username, password. Prints what the page says.
const [url, username, password] = process.argv.slice(2);
const page = new URL(url);
const html = await (await fetch(url)).text();
const source = html.match(/<script>([^]*)<\/script>/)[1];

let submit;
const button = { disabled: false };
const status = { textContent: "" };
const form = {
  hidden: false,
  username: { value: username },
  password: { value: password },
  querySelector: () => button,
  addEventListener: (_, listener) => (submit = listener),
};
const shown = { address: url };
const run = new Function("location", "history", "document", "fetch", source);
run(
  page,
  { replaceState: (_state, _title, path) => (shown.address = path) },
  { querySelector: (selector) => (selector === "form" ? form : status) },
  (path, options) => fetch(new URL(path, page), options),
);
await submit({ preventDefault() {} });
console.log(
  JSON.stringify({ said: status.textContent, hidden: form.hidden, address: shown.address }),
);
