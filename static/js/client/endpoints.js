const PATHS = {
  send: '/ai-demo/chat/send',
  history: '/ai-demo/chat/history/{session_id}',
  jobs: '/ai-demo/workflow/jobs',
  status: '/ai-demo/workflow/status/{job_id}',
  stream: '/ai-demo/workflow/stream/{job_id}',
  cancel: '/ai-demo/workflow/cancel/{job_id}',
  action: '/ai-demo/chat/action',
  approvals: '/ai-demo/workflow/approvals',
  approval: '/ai-demo/workflow/approval/{approval_id}',
};
const PLACEHOLDER = /(\{|%7B)\w+(\}|%7D)/i;

/** Where the API's endpoints are: under `base`, unless `urls` names another place for one. */
export class Endpoints {
  #base;
  #urls;

  constructor(base, urls) {
    this.#base = base.replace(/\/+$/, '');
    this.#urls = urls;
  }

  /** The address of the endpoint `name`; `id` takes the placeholder's place, or goes to the end. */
  of(name, id) {
    const url = this.#urls[name] || this.#base + PATHS[name];
    if (id === undefined) return url;
    if (PLACEHOLDER.test(url)) return url.replace(PLACEHOLDER, () => encodeURIComponent(id));
    return `${url.replace(/\/+$/, '')}/${encodeURIComponent(id)}`;
  }
}
