const form = document.querySelector(".filter");
const applyFilter = () => {
  const filters = Object.fromEntries(new FormData(form));
  let count = 0;
  for (const element of document.querySelectorAll("[data-lab]")) {
    element.hidden = Object.entries(filters).some(([name, value]) => value && element.dataset[name] !== value);
    count += element.matches("article:not([hidden])");
  }
  form.querySelector("output").textContent = `showing ${count} of ${document.querySelectorAll("article").length} claims`;
};
form.hidden = false;
form.addEventListener("change", applyFilter);
form.addEventListener("submit", (event) => event.preventDefault());
applyFilter();
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((element) => (element.open = true)));
