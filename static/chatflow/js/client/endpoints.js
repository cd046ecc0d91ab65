const PATHS = {
  send: 'chat/send',
  sessions: 'chat/sessions',
  session: 'chat/session/{session_id}',
  stream_all: 'chat/stream',
  feedback: 'chat/feedback/{job_id}',
  upload: 'knowledge/documents',
  history: 'chat/history/{session_id}',
  jobs: 'workflow/jobs',
  status: 'workflow/status/{job_id}',
  stream: 'workflow/stream/{job_id}',
  cancel: 'workflow/cancel/{job_id}',
  retry: 'workflow/retry/{job_id}',
  action: 'chat/action',
  approvals: 'workflow/approvals',
  approval: 'workflow/approval/{approval_id}',
};
const PLACEHOLDER = /(\{|%7B)\w+(\}|%7D)/i;

/** Where the API's endpoints are: below `path` of `base`, unless `urls` names another place for one. */
export class Endpoints {
  #base;
  #urls;

  constructor(base, urls, path = '/ai-demo/') {
    this.#base = base.replace(/\/+$/, '') + `/${path}/`.replace(/\/+/g, '/');
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
