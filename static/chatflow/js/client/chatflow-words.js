/** The words of `<chatflow-chat>`: in English where they are used, and here in other languages. */

const GERMAN = {
  Answer: 'Antwort',
  Answers: 'Antworten',
  Code: 'Code',
  Conversation: 'Gespräch',
  Copied: 'Kopiert',
  Copy: 'Kopieren',
  Done: 'Erledigt',
  'Files can be sent {link}.': 'Dateien lassen sich {link} senden.',
  'It could not be copied': 'Es ließ sich nicht kopieren',
  'Leave the question': 'Frage verlassen',
  Message: 'Nachricht',
  No: 'Nein',
  Progress: 'Fortschritt',
  'Reconnecting… Nothing is lost.': 'Verbindet sich neu… Nichts geht verloren.',
  'Request timed out': 'Die Anfrage hat zu lange gedauert',
  Send: 'Senden',
  'Sign in': 'Anmelden',
  Skip: 'Überspringen',
  Stop: 'Anhalten',
  'The server admits no pages of {origin}: its CORS_ALLOWED_ORIGINS has to name it.':
    'Der Server lässt Seiten von {origin} nicht zu: Seine CORS_ALLOWED_ORIGINS müssen es nennen.',
  'The server could not be reached': 'Der Server war nicht erreichbar',
  'The token is not accepted.': 'Das Token wird nicht angenommen.',
  'This has to be filled in {link}.': 'Das ist {link} auszufüllen.',
  'To do': 'Zu erledigen',
  'Workflow failed': 'Der Workflow ist gescheitert',
  Yes: 'Ja',
  You: 'Sie',
  'You are offline. What you send waits here.': 'Sie sind offline. Was Sie senden, wartet hier.',
  'You are signed out. What you have written is kept.': 'Sie sind abgemeldet. Was Sie geschrieben haben, ist aufgehoben.',
  'on the chat page': 'auf der Chat-Seite',
};
const CATALOGUES = { de: GERMAN };

/** The words in a language, by the English ones. @param {string} [language] as `lang` has it: `de`, `de-AT` */
export const wordsOf = (language = '') => CATALOGUES[language.split('-')[0].toLowerCase()] ?? {};
