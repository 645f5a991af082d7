// Before anything is drawn, so that a page in the other theme does not flash: the theme that was chosen here, or as the
// system says, from now on and whenever it changes its mind.
function showTheme() {
  let theme = null;
  try {
    theme = localStorage.getItem("spanwatch.theme");
  } catch {
    // Without storage the system's theme it is.
  }
  if (theme !== "light" && theme !== "dark") theme = systemIsDark.matches ? "dark" : "light";
  document.documentElement.dataset.theme = theme;
}

const systemIsDark = window.matchMedia("(prefers-color-scheme: dark)");
systemIsDark.addEventListener("change", showTheme);
showTheme();
