import { followTheme } from './theme.js';

// What every page has.
followTheme();
