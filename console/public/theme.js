// Before anything is drawn, so that a page in the other theme does not flash.
try {
  const chosen = localStorage.getItem("spanwatch.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Without storage the system's theme it is.
}
