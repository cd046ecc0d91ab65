/** The words of a response as far as they were streamed. */
export class StreamedText {
  value = '';

  /** Take in a frame; true where it changed the text. */
  take(frame) {
    if (frame.type === 'restarted') {
      // The server counts code points, String.slice would count UTF-16 units.
      this.value = [...this.value].slice(0, frame.text_length ?? 0).join('');
      return true;
    }
    if (typeof frame.delta !== 'string') return false;
    this.value += frame.delta;
    return true;
  }
}
