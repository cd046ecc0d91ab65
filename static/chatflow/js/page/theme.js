// The server reads it, and sends the page in its colours at once.
const COOKIE = 'theme';
const YEAR = 31_536_000;

/** Let the switches `[name=theme]` choose light, dark, or what the system wants. */
export function followTheme() {
  const root = document.documentElement;
  for (const choice of document.querySelectorAll('input[name="theme"]')) {
    choice.checked = choice.value === (root.dataset.theme || 'system');
    choice.addEventListener('change', () => {
      root.dataset.theme = choice.value;
      const path = root.dataset.root || '/';
      document.cookie = `${COOKIE}=${choice.value}; path=${path}; max-age=${YEAR}; samesite=lax`;
    });
  }
}
