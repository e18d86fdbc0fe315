/* Names of refusal reasons: quarantine's reason codes. */
#include "engine/vec/decode.h"

const char *weir_reason_name(enum weir_reason reason)
{
    static const char *const names[WEIR_REASON_COUNT] = {
        [WEIR_REASON_SYNTAX] = "syntax",     [WEIR_REASON_ENCODING] = "encoding",
        [WEIR_REASON_TYPE] = "type",         [WEIR_REASON_RANGE] = "range",
        [WEIR_REASON_REQUIRED] = "required", [WEIR_REASON_UNKNOWN_FIELD] = "unknown_field",
        [WEIR_REASON_DEPTH] = "depth",       [WEIR_REASON_TOO_LARGE] = "too_large",
        [WEIR_REASON_EMPTY] = "empty",       [WEIR_REASON_NULL] = "null",
        [WEIR_REASON_SCHEMA] = "schema",     [WEIR_REASON_EXPECT] = "expect",
    };

    return (unsigned)reason < WEIR_REASON_COUNT ? names[reason] : "unknown";
}
