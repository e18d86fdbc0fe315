/* What the sinks over HTTP share. */
#include "connectors/sink/sink_int.h"

#include "engine/base/text.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WAIT_MS_MAX   ((int64_t)3600 * 1000)
#define CLOCK_WORTH_S 30  /* a Date has whole seconds, and answers take time */
#define CLOCK_MAX_S   240 /* what is signed is taken for five minutes */

int64_t sink_retry_after_ms(const struct weir_http_response *response, int64_t now_ms)
{
    char value[64];
    int64_t wait_ms = 0, seconds;
    if (!weir_http_header(response, "retry-after", value, sizeof value))
        return 0;
    if (weir_text_int64(value, strlen(value), &seconds)) {
        wait_ms = seconds > WAIT_MS_MAX / 1000 ? WAIT_MS_MAX : seconds < 0 ? 0 : seconds * 1000;
    } else if (*value && value[strspn(value, "0123456789")] == '\0') {
        wait_ms = WAIT_MS_MAX; /* more seconds than a number holds */
    } else {
        time_t until = curl_getdate(value, NULL);
        if (until > 0 && until < (time_t)1 << 40)
            wait_ms = (int64_t)until * 1000 - now_ms;
    }
    return wait_ms < 0 ? 0 : wait_ms > WAIT_MS_MAX ? WAIT_MS_MAX : wait_ms;
}

int64_t sink_clock_ahead_s(const struct weir_http_response *response, int64_t now_ms)
{
    char value[64];
    if (!weir_http_header(response, "date", value, sizeof value))
        return 0;
    time_t there = curl_getdate(value, NULL);
    return there > 0 && there < (time_t)1 << 40 ? (int64_t)there - now_ms / 1000 : 0;
}

weir_status sink_clock_check(int64_t ahead_s, bool signs, char *words, size_t size,
                             struct weir_error *reterr)
{
    size_t used = strlen(words);
    long long seconds = llabs((long long)ahead_s);
    const char *side = ahead_s > 0 ? "ahead of" : "behind";
    if (signs && seconds > CLOCK_MAX_S) {
        weir_status status = weir_fail(
            reterr, WEIR_REFUSED, "its clock is %lld s %s ours: it would not take what we sign",
            seconds, side);
        weir_error_hint(reterr, "set the clock of this machine, or that of the receiver");
        return status;
    }
    if (seconds > CLOCK_WORTH_S)
        snprintf(words + used, size - used, "; its clock is %lld s %s ours", seconds, side);
    return WEIR_OK;
}
