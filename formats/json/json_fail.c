/* What is wrong with a record, in words that name the place and what was wanted, never what the
 * record holds. */
#include "formats/json/json_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const uint8_t *json_fail(struct weir_json_decoder *decoder, enum weir_reason reason,
                         const uint8_t *at, const char *format, ...)
{
    struct json_failure *failure = &decoder->failure;
    va_list arguments;

    if (!decoder->careful)
        return NULL; /* the careful pass will come here again */
    failure->reason = reason;
    failure->position = at ? (uint32_t)(at - decoder->text) : UINT32_MAX;
    failure->path_at = JSON_PATH_SIZE - 1;
    failure->path_full = false;
    failure->path[failure->path_at] = '\0';
    va_start(arguments, format);
    vsnprintf(failure->text, sizeof failure->text, format, arguments);
    va_end(arguments);
    return NULL;
}

const uint8_t *json_fail_syntax(struct weir_json_decoder *decoder, const uint8_t *at,
                                const char *wanted)
{
    if (at >= decoder->end)
        return json_fail(decoder, WEIR_REASON_SYNTAX, decoder->end,
                         "cut off: want %s, found the end", wanted);
    if (*at == 0)
        return json_fail(decoder, WEIR_REASON_SYNTAX, at, "want %s, found a NUL byte", wanted);
    return json_fail(decoder, WEIR_REASON_SYNTAX, at, "want %s, found something else", wanted);
}

static const char *kind_of_value(uint8_t c)
{
    switch (c) {
    case '"': return "a string";
    case '{': return "an object";
    case '[': return "an array";
    case 't':
    case 'f': return "a boolean";
    case 'n': return "null";
    default: return c == '-' || (c >= '0' && c <= '9') ? "a number" : NULL;
    }
}

const uint8_t *json_fail_type(struct weir_json_decoder *decoder, const struct json_node *node,
                              const uint8_t *at)
{
    const char *found = kind_of_value(*at);

    if (!found)
        return json_fail_syntax(decoder, at, "a value");
    return json_fail(decoder, WEIR_REASON_TYPE, at, "want %s, found %s", node->wanted, found);
}

const uint8_t *json_fail_range(struct weir_json_decoder *decoder, const struct json_node *node,
                               const uint8_t *at)
{
    return json_fail(decoder, WEIR_REASON_RANGE, at, "does not fit %s", node->wanted);
}

/* A path too long loses its outer end. */
static void path_prepend(struct json_failure *failure, const char *text)
{
    size_t size = strlen(text);

    if (failure->path_full)
        return;
    if (size + 3 > failure->path_at) {
        failure->path_full = true;
        text = "...";
        size = 3;
    }
    failure->path_at -= (uint32_t)size;
    memcpy(failure->path + failure->path_at, text, size);
}

void json_path_member(struct json_failure *failure, const char *name)
{
    char first = failure->path[failure->path_at];

    if (first != '\0' && first != '[' && first != '.')
        path_prepend(failure, ".");
    path_prepend(failure, name);
}

void json_path_index(struct json_failure *failure, size_t index, const char *behind)
{
    char text[40], first = failure->path[failure->path_at];

    if (first != '\0' && first != '[' && first != '.')
        path_prepend(failure, ".");
    snprintf(text, sizeof text, "[%zu]%s", index, behind);
    path_prepend(failure, text);
}
