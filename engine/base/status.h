/* The outcome of anything that can fail, and the words that go with it.
 *
 * A function that can fail returns weir_status (must be looked at), leaves its ret_ results
 * untouched on failure, and takes `struct weir_error *reterr` last; reterr may be NULL. The origin
 * states the fact with numbers by weir_fail(); each caller that knows more puts its words in front
 * by weir_error_prefix(). */
#ifndef WEIR_ENGINE_BASE_STATUS_H
#define WEIR_ENGINE_BASE_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum weir_status {
#define STATUS(name, code, class, text) WEIR_##name,
#include "engine/base/status.def"
#undef STATUS
    WEIR_STATUS_COUNT
} weir_status;

enum weir_status_class { WEIR_CLASS_ok, WEIR_CLASS_retry, WEIR_CLASS_fatal, WEIR_CLASS_bad_data };

#define WEIR_MUST_CHECK __attribute__((warn_unused_result))
#define WEIR_PRINTF(format_at, arguments_at)                                                       \
    __attribute__((format(printf, format_at, arguments_at)))

/* Fixed size, so that reporting an error never allocates. Text is cut with "..." at the end. */
struct weir_error {
    weir_status status;
    char text[1024]; /* what failed, where, with numbers */
    char hint[512];  /* what to do next; may be empty */
};

const char *weir_status_name(weir_status status); /* "PRECONDITION" */
const char *weir_status_text(weir_status status); /* "another writer was first" */
int weir_status_exit_code(weir_status status);    /* 75 */
enum weir_status_class weir_status_class_of(weir_status status);

/* Fills *reterr (if any) and returns `status`, so that an origin is one line:
 *     return weir_fail(reterr, WEIR_CORRUPT, "page at %zu: crc %08x, want %08x", ...); */
weir_status weir_fail(struct weir_error *reterr, weir_status status, const char *format,
                      ...) WEIR_MUST_CHECK WEIR_PRINTF(3, 4);

/* Sets the hint of an error that weir_fail filled; nothing if reterr is NULL. */
void weir_error_hint(struct weir_error *reterr, const char *format, ...) WEIR_PRINTF(2, 3);

/* Puts "prefix: " before the text. */
void weir_error_prefix(struct weir_error *reterr, const char *format, ...) WEIR_PRINTF(2, 3);

/* if (f() failed) return that status */
#define WEIR_TRY(call)                                                                             \
    do {                                                                                           \
        weir_status weir_try_status_ = (call);                                                     \
        if (weir_try_status_ != WEIR_OK)                                                           \
            return weir_try_status_;                                                               \
    } while (0)

/* if (f() failed) goto out with `status` set; for functions with something to release */
#define WEIR_TRY_OUT(status, call)                                                                 \
    do {                                                                                           \
        (status) = (call);                                                                         \
        if ((status) != WEIR_OK)                                                                   \
            goto out;                                                                              \
    } while (0)

#endif
