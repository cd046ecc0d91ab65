import { errorOfFrame } from './errors.js';
import { pollStatus } from './job-status.js';
import { StreamFollower, StreamLost } from './stream-follower.js';
import { StreamedText } from './streamed-text.js';

/**
 * Follow a job to its end; resolves with its last frame, if that is a `completed` one. Every
 * rejection has the `jobId`.
 *
 * @param {{job_id: string, stream_url?: string, status_url: string}} job
 * @param {object} options `listeners`: a Listeners to notify; `signal`, `headers`, `needsHeaders`, `pollInterval`,
 *   `maxFailures`, `quietTimeout`, `reopenDelay`
 */
export async function followJob(job, { listeners, ...options }) {
  const { job_id: jobId } = job;
  const text = new StreamedText();
  const onFrame = (frame) => {
    if (text.take(frame)) listeners.notify('delta', text.value, frame, jobId);
    listeners.notify('progress', frame, jobId);
  };
  listeners.notify('start', job);
  try {
    const last = await lastFrame(job, { ...options, onFrame });
    if (last.status !== 'completed') throw errorOfFrame(last);
    return last;
  } catch (error) {
    error.jobId = jobId;
    throw error;
  }
}

/** The stream's last frame, or where the stream doesn't deliver, the last status. */
async function lastFrame(job, options) {
  if (job.stream_url) {
    try {
      return await new StreamFollower(job, options).follow();
    } catch (error) {
      if (!(error instanceof StreamLost)) throw error;
    }
  }
  return pollStatus(job.status_url, options);
}
