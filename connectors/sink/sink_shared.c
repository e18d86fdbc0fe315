/* What the sinks over HTTP share. */
#include "connectors/sink/sink_int.h"

#include "engine/base/text.h"

#include <curl/curl.h>
#include <string.h>
#include <time.h>

#define WAIT_MS_MAX ((int64_t)3600 * 1000)

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
