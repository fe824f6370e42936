// What a panel keeps over a reload, in storage that no other tab sees.

// `name` and `token` as the server gave them; `beginning`, where the first device's conversation begins; `said`, the
// message that the server has not echoed yet; `more`, the label and the beginning of each further device.
export class Store {
  constructor(key) {
    this.key = key;
    this.me = JSON.parse(sessionStorage.getItem(key) ?? '{}');
  }
  remember(change) {
    this.me = { ...this.me, ...change };
    sessionStorage.setItem(this.key, JSON.stringify(this.me));
  }
  forget() {
    sessionStorage.removeItem(this.key);
    this.me = {};
  }
}

// The elements of a template's copy, by their parts.
export function copy(id) {
  const root = document.getElementById(id).content.firstElementChild.cloneNode(true), part = {};
  for (const element of root.querySelectorAll('[data-part]')) part[element.dataset.part] = element;
  return { root, part };
}
