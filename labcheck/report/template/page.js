const form = document.querySelector(".filter");
const shown = () => {
  const wanted = Object.fromEntries(new FormData(form));
  let count = 0;
  for (const each of document.querySelectorAll("[data-lab]")) {
    each.hidden = Object.entries(wanted).some(([name, value]) => value && each.dataset[name] !== value);
    count += each.matches("article:not([hidden])");
  }
  form.querySelector("output").textContent = `${count} of ${document.querySelectorAll("article").length} claims shown`;
};
form.hidden = false;
form.addEventListener("change", shown);
form.addEventListener("submit", (event) => event.preventDefault());
shown();
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((each) => (each.open = true)));
