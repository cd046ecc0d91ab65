import { element } from './dom.js';
import { gettext } from './words.js';

const INPUT_TYPES = { email: 'email', date: 'date', time: 'time', uri: 'url' };
let count = 0;

/** The fields that a JSON schema asks for, to be filled in. */
export class Fields {
  #fields;

  constructor(schema) {
    const required = new Set(schema.required);
    // JSON has no order of its own, and some databases keep none.
    const ordered = new Set([...(schema['x-order'] ?? []), ...Object.keys(schema.properties)]);
    const names = [...ordered].filter((name) => Object.hasOwn(schema.properties, name));
    this.#fields = names.map((name) => new Field(name, resolve(schema.properties[name], schema), required.has(name)));
    this.node = element('div', { className: 'fields' }, ...this.#fields.map(({ node }) => node));
  }

  /** What was filled in; a field that was left empty is left out. */
  get values() {
    const entries = this.#fields.map(({ name, value }) => [name, value]);
    return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
  }

  /** Show what is wrong with which field; returns what belongs to none of them. */
  complain(errors) {
    for (const field of this.#fields) field.complain(errors[field.name]?.[0] ?? '');
    this.#fields.find(({ name }) => errors[name])?.input.focus();
    const names = new Set(this.#fields.map(({ name }) => name));
    const others = Object.entries(errors).filter(([name]) => !names.has(name));
    return others.map(([name, [text]]) => `${name}: ${text}`).join(' ');
  }

  focus() {
    this.#fields[0]?.input.focus();
  }
}

class Field {
  #read;
  #error;

  constructor(name, property, isRequired) {
    this.name = name;
    const id = `field-${(count += 1)}`;
    const { input, read } = control(property, isRequired);
    this.#read = read;
    this.input = Object.assign(input, { id, name, required: isRequired && input.type !== 'checkbox' });
    this.#error = element('p', { id: `${id}-error`, className: 'field__error', hidden: true, attributes: { role: 'alert' } });
    input.setAttribute('aria-describedby', this.#error.id);
    const title = property.title ?? name;
    const text = isRequired ? title : gettext('{title} (optional)', { title });
    const label = element('label', { htmlFor: id, textContent: input.type === 'checkbox' ? title : text });
    const hint = property.description ? [element('p', { className: 'field__hint', textContent: property.description })] : [];
    const parts = input.type === 'checkbox' ? [input, label] : [label, input];
    this.node = element('div', { className: `field field--${input.type ?? 'text'}` }, ...parts, ...hint, this.#error);
  }

  get value() {
    return this.#read(this.input);
  }

  complain(text) {
    this.#error.textContent = text;
    this.#error.hidden = !text;
    this.input.setAttribute('aria-invalid', String(Boolean(text)));
  }
}

/** The input that fits a property, and what reads its value; undefined where it was left empty. */
function control(property, isRequired) {
  const { type, format, default: preset } = property;
  const given = property.enum ?? (property.const === undefined ? null : [property.const]);
  if (given) {
    const choices = isRequired ? given : [undefined, ...given];
    const options = choices.map((choice) => {
      const textContent = choice === undefined ? '' : String(choice);
      return element('option', { textContent, selected: choice !== undefined && choice === preset });
    });
    const read = ({ selectedIndex }) => choices[selectedIndex];
    return { input: element('select', {}, ...options), read };
  }
  if (type === 'boolean') {
    const input = element('input', { type: 'checkbox', checked: preset === true });
    return { input, read: ({ checked }) => checked };
  }
  if (type === 'number' || type === 'integer') {
    const limits = { min: property.minimum ?? '', max: property.maximum ?? '', step: type === 'integer' ? '1' : 'any' };
    const input = element('input', { type: 'number', ...limits, value: preset ?? '' });
    return { input, read: ({ value }) => (value === '' ? undefined : Number(value)) };
  }
  if (type === 'string') {
    const input = element('input', { type: INPUT_TYPES[format] ?? 'text', value: preset ?? '', autocomplete: 'off' });
    if (property.maxLength) input.maxLength = property.maxLength;
    return { input, read: ({ value }) => (value === '' && !isRequired ? undefined : value) };
  }
  // Whatever else a schema may ask for is written as JSON.
  const input = element('textarea', { rows: 3, placeholder: 'JSON', value: preset === undefined ? '' : JSON.stringify(preset) });
  return { input, read: ({ value }) => (value === '' ? undefined : asJSON(value)) };
}

/** A property without its references, and without the null that makes it optional. */
function resolve(property, schema) {
  const { $ref, anyOf, allOf, ...rest } = property;
  if ($ref) return { ...resolve(schema.$defs?.[$ref.replace('#/$defs/', '')] ?? {}, schema), ...rest };
  const kinds = (anyOf ?? allOf ?? []).filter(({ type }) => type !== 'null');
  return kinds.length === 1 ? { ...resolve(kinds[0], schema), ...rest } : property;
}

function asJSON(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
