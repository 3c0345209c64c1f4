const filter = document.getElementById("filter");
const entries = [...document.querySelectorAll("nav li[data-of]")].map((link) => {
  const article = document.getElementById(link.dataset.of);
  const head = article.querySelector("h3").textContent + article.querySelector(".call").textContent;
  return { link, article, text: (head + " " + link.dataset.of).toLowerCase() };
});
filter.hidden = false;
filter.addEventListener("input", () => {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const { link, article, text } of entries) {
    link.hidden = article.hidden = !words.every((word) => text.includes(word));
  }
  for (const section of document.querySelectorAll("main .calls, nav section")) {
    const own = section.querySelectorAll("article[id], li");
    section.hidden = own.length > 0 && [...own].every((each) => each.hidden);
  }
  document.getElementById("nothing").hidden = entries.some(({ link }) => !link.hidden);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== filter) {
    event.preventDefault();
    filter.focus();
  }
});
