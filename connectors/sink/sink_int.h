/* What the sinks over HTTP share. */
#ifndef WEIR_CONNECTORS_SINK_SINK_INT_H
#define WEIR_CONNECTORS_SINK_SINK_INT_H

#include "connectors/http/http.h"
#include "connectors/sink/sink.h"

/* How long the answer's Retry-After asks to wait: seconds, or a date (now_ms: our wall clock); 0
 * without one, at most an hour, as nobody is to be put to sleep for ever by a header. */
int64_t sink_retry_after_ms(const struct weir_http_response *response, int64_t now_ms);

/* How far the receiver's clock (the answer's Date) is before ours, in seconds; 0 without a Date. */
int64_t sink_clock_ahead_s(const struct weir_http_response *response, int64_t now_ms);
/* Appends that to words, if it is worth a word. REFUSED: so far that what we sign is not taken. */
weir_status sink_clock_check(int64_t ahead_s, bool signs, char *words, size_t size,
                             struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
