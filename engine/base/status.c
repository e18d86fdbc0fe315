/* Names, exit codes and texts of status.def, and the fixed-size error record. */
#include "engine/base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct status_row {
    const char *name;
    int exit_code;
    enum weir_status_class class;
    const char *text;
};

static const struct status_row status_rows[] = {
#define STATUS(name, code, class, text) {#name, code, WEIR_CLASS_##class, text},
#include "engine/base/status.def"
#undef STATUS
};

static const struct status_row *status_row(weir_status status)
{
    return &status_rows[(unsigned)status < WEIR_STATUS_COUNT ? status : WEIR_INTERNAL];
}

const char *weir_status_name(weir_status status)
{
    return status_row(status)->name;
}
const char *weir_status_text(weir_status status)
{
    return status_row(status)->text;
}
int weir_status_exit_code(weir_status status)
{
    return status_row(status)->exit_code;
}
enum weir_status_class weir_status_class_of(weir_status status)
{
    return status_row(status)->class;
}

static void text_print(char *text, size_t size, const char *format, va_list arguments)
{
    int length = vsnprintf(text, size, format, arguments);
    if (length >= 0 && (size_t)length >= size)
        memcpy(text + size - 4, "...", 4);
}

weir_status weir_fail(struct weir_error *reterr, weir_status status, const char *format, ...)
{
    if (reterr) {
        va_list arguments;
        va_start(arguments, format);
        reterr->status = status;
        reterr->hint[0] = '\0';
        text_print(reterr->text, sizeof reterr->text, format, arguments);
        va_end(arguments);
    }
    return status;
}

void weir_error_hint(struct weir_error *reterr, const char *format, ...)
{
    if (!reterr)
        return;
    va_list arguments;
    va_start(arguments, format);
    text_print(reterr->hint, sizeof reterr->hint, format, arguments);
    va_end(arguments);
}

void weir_error_prefix(struct weir_error *reterr, const char *format, ...)
{
    if (!reterr)
        return;
    char prefix[512];
    va_list arguments;
    va_start(arguments, format);
    text_print(prefix, sizeof prefix, format, arguments);
    va_end(arguments);
    size_t prefix_size = strlen(prefix), text_size = strlen(reterr->text),
           capacity = sizeof reterr->text;
    size_t kept = text_size;
    if (prefix_size + 2 + text_size >= capacity)
        kept = capacity - prefix_size - 3;
    memmove(reterr->text + prefix_size + 2, reterr->text, kept);
    memcpy(reterr->text, prefix, prefix_size);
    memcpy(reterr->text + prefix_size, ": ", 2);
    reterr->text[prefix_size + 2 + kept] = '\0';
    if (kept < text_size && kept >= 3)
        memcpy(reterr->text + prefix_size + 2 + kept - 3, "...", 3);
}
