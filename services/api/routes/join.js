// The token stands behind '#', so that no server and no log sees it; here it leaves the address
// bar and the history too.
const token = location.hash.slice(1);
history.replaceState(null, "", location.pathname);

const form = document.querySelector("form");
const status = document.querySelector("[role=status]");
if (!token) {
  form.hidden = true;
  status.textContent = "This link is not complete; open it again as you were given it.";
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  status.textContent = "";
  try {
    const reply = await fetch("api/invitations/accept", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        token,
        username: form.username.value,
        password: form.password.value,
      }),
    });
    const answer = await reply.json();
    if (reply.ok) {
      form.hidden = true;
      status.textContent =
        "Welcome, " + answer.person.username + ". You may sign in now; your user id is " +
        answer.user_id + ".";
    } else {
      status.textContent = answer.error;
    }
  } catch {
    status.textContent = "MyMote does not answer; try again in a moment.";
  } finally {
    button.disabled = false;
  }
});
