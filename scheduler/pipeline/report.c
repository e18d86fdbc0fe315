/* What is wrong with a pipeline file, in words: place, source line, caret, hint. Lines that hold
 * secrets are masked from the secret's colon on, by their text alone: it must also work for files
 * that are no YAML. */
#include "scheduler/pipeline/pipeline_int.h"

#include "engine/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *take(struct reading *reading, size_t count, size_t size)
{
    void *block = NULL;
    if (reading->status == WEIR_OK)
        reading->status = weir_arena_zero(reading->arena, count, size, &block, &reading->error);
    return reading->status == WEIR_OK ? block : NULL;
}

char *take_text(struct reading *reading, const char *text, size_t size)
{
    char *copy = NULL;
    if (reading->status == WEIR_OK)
        reading->status = weir_arena_copy(reading->arena, text, size, &copy, &reading->error);
    return reading->status == WEIR_OK ? copy : NULL;
}

static char *take_vprint(struct reading *reading, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *text = size < 0 ? NULL : take(reading, (size_t)size + 1, 1);
    if (text)
        vsnprintf(text, (size_t)size + 1, format, arguments);
    return text;
}

char *take_print(struct reading *reading, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = take_vprint(reading, format, arguments);
    va_end(arguments);
    return text;
}

bool name_is_secret(const char *name, size_t size)
{
    static const char *const parts[] = {
        "password",    "passwd",      "passphrase",         "secret",   "token",   "credential",
        "jaas",        "key.pem",     "oauthbearer.config", "hmac_key", "api_key", "access_key",
        "private_key", "external_id", "authorization"};
    char copy[256];
    size = size < sizeof copy - 1 ? size : sizeof copy - 1;
    memcpy(copy, name, size);
    copy[size] = 0;
    if (strcasestr(copy, "token_url") || strcasestr(copy, "token.endpoint.url"))
        return false;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strcasestr(copy, parts[i]))
            return true;
    /* A misspelt secret is one too. */
    static const char *const whole[] = {"sasl.password",
                                        "ssl.key.password",
                                        "ssl.key.pem",
                                        "ssl.keystore.password",
                                        "sasl.oauthbearer.config",
                                        "sasl.oauthbearer.client.secret",
                                        "external_id"};
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (weir_text_distance(copy, whole[i]) <= 2)
            return true;
    return false;
}

static void complain_text(struct reading *reading, int file, int line, int column, const char *hint,
                          char *text)
{
    if (reading->complaint_count >= ERROR_COUNT_MAX) {
        reading->complaint_dropped++;
        return;
    }
    if (!reading->complaints)
        reading->complaints = take(reading, ERROR_COUNT_MAX, sizeof *reading->complaints);
    if (!reading->complaints || !text)
        return;
    /* One place gives one error: the first says most. */
    for (size_t i = 0; i < reading->complaint_count; i++) {
        const struct complaint *other = &reading->complaints[i];
        if (other->file == file && other->line == line && other->column == column &&
            strcmp(other->text, text) == 0)
            return;
    }
    reading->complaints[reading->complaint_count] = (struct complaint){
        file,
        line,
        column,
        text,
        hint && *hint ? take_text(reading, hint, strlen(hint)) : NULL,
        reading->complaint_count};
    reading->complaint_count++;
}

bool complain_full(struct reading *reading)
{
    return reading->status != WEIR_OK || reading->complaint_count >= ERROR_COUNT_MAX;
}

void complain_at(struct reading *reading, int file, int line, int column, const char *hint,
                 const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = take_vprint(reading, format, arguments);
    va_end(arguments);
    complain_text(reading, file, line, column, hint, text);
}

/* Line and column of byte `position` of the node's value: exact as long as the value stands in the
 * file as it is. */
static void node_place(const struct reading *reading, const struct node *node, size_t position,
                       int *ret_line, int *ret_column)
{
    *ret_line = node->line;
    *ret_column = node->column;
    if (position == 0 || node->kind != NODE_SCALAR || node->substituted ||
        node->style == STYLE_BLOCK || position > node->size)
        return;
    const struct source_file *file = &reading->files[node->file];
    size_t start = node->offset;
    if (start > file->size || file->size - start < position ||
        memcmp(file->text + start, node->text, position) != 0 || memchr(node->text, '\n', position))
        return;
    for (size_t i = 0; i < position; i++)
        *ret_column += ((unsigned char)node->text[i] & 0xc0) != 0x80;
}

void complain(struct reading *reading, const struct node *at, size_t position, const char *hint,
              const char *format, ...)
{
    int line = 1, column = 1;
    if (at)
        node_place(reading, at, position, &line, &column);
    va_list arguments;
    va_start(arguments, format);
    char *text = take_vprint(reading, format, arguments);
    va_end(arguments);
    complain_text(reading, at ? at->file : 0, line, column, hint, text);
}

const char *node_location(struct reading *reading, const struct node *node)
{
    const char *text = take_print(reading, "%s:%d:%d", reading->files[node->file].path, node->line,
                                  node->column);
    return text ? text : "";
}

const char *node_quote(struct reading *reading, const struct node *node)
{
    if (node->kind == NODE_MAP)
        return "a map";
    if (node->kind == NODE_LIST)
        return "a list";
    if (node->kind == NODE_NULL)
        return "nothing";
    if (node->secret)
        return "a secret";
    if (node->substituted)
        return "something else after ${...}";
    char cut[64];
    size_t size = node->size < 60 ? node->size : 57;
    while (size < node->size && size > 0 && ((unsigned char)node->text[size] & 0xc0) == 0x80)
        size--;
    for (size_t i = 0; i < size; i++)
        cut[i] = (unsigned char)node->text[i] < 0x20 || node->text[i] == 0x7f ? ' ' : node->text[i];
    cut[size] = 0;
    const char *text = take_print(reading, "'%s%s'", cut, size < node->size ? "..." : "");
    return text ? text : "";
}

struct line_view {
    const char *text;
    size_t size, indent;
};

static struct line_view line_view(const struct source_file *file, const char *at)
{
    const char *end = file->text + file->size,
               *next = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
    struct line_view line = {at, (size_t)((next ? next : end) - at), 0};
    if (line.size && line.text[line.size - 1] == '\r')
        line.size--;
    while (line.indent < line.size &&
           (line.text[line.indent] == ' ' || line.text[line.indent] == '\t' ||
            line.text[line.indent] == '-'))
        line.indent++;
    return line;
}

/* The line at `number`, 1-based; empty beyond the end. */
static struct line_view line_find(const struct source_file *file, int number)
{
    const char *at = file->text, *end = file->text + file->size;
    for (int i = 1; i < number && at < end; i++) {
        const char *next = memchr(at, '\n', (size_t)(end - at));
        at = next ? next + 1 : end;
    }
    return line_view(file, at);
}

/* The line above; false at the top. */
static bool line_above(const struct source_file *file, struct line_view *line)
{
    if (line->text == file->text)
        return false;
    size_t before = (size_t)(line->text - file->text) - 1; /* the newline */
    const char *newline = before ? memrchr(file->text, '\n', before) : NULL;
    *line = line_view(file, newline ? newline + 1 : file->text);
    return true;
}

/* Byte behind the first colon that follows a secret's name, or size. */
static size_t secret_start(const struct line_view *line)
{
    for (size_t i = 0; i < line->size; i++) {
        size_t start = i;
        while (i < line->size && line->text[i] != ':' && line->text[i] != ',' &&
               line->text[i] != '{' && line->text[i] != ' ')
            i++;
        size_t name = i;
        while (i < line->size && line->text[i] == ' ')
            i++;
        if (i < line->size && line->text[i] == ':' && name > start &&
            name_is_secret(line->text + start, name - start))
            return i + 1;
        if (name == i && i < line->size && line->text[i] == ' ')
            i--;
        else if (name < i)
            i--;
    }
    return line->size;
}

/* From which byte of the line on nothing may be shown. */
static size_t mask_start(const struct source_file *file, const struct line_view *line)
{
    /* Inside a value of several lines: the key stands above, with less indentation. */
    size_t indent = line->indent;
    struct line_view above = *line;
    for (int looked = 0; indent > 0 && looked < 500 && line_above(file, &above); looked++) {
        if (above.indent >= above.size || above.indent >= indent)
            continue;
        if (secret_start(&above) < above.size)
            return 0;
        indent = above.indent;
    }
    return secret_start(line);
}

static size_t character_size(const char *text, size_t size)
{
    size_t i = 1;
    while (i < size && ((unsigned char)text[i] & 0xc0) == 0x80)
        i++;
    return i;
}

/* The source line and a caret under `column`; long lines are cut to a window around it. */
static weir_status excerpt(const struct source_file *file, int number, int column,
                           struct weir_buffer *out, struct weir_error *reterr)
{
    enum { WIDTH = 110, BEFORE = 70 };
    struct line_view line = line_find(file, number);
    size_t masked = mask_start(file, &line), at = 0;
    bool text_good = weir_utf8_invalid((const uint8_t *)line.text, line.size) == line.size;
    int first = column > WIDTH ? column - BEFORE : 1, current = 1;
    WEIR_TRY(weir_buffer_print(out, reterr, "\n  %s", first > 1 ? "..." : ""));
    WEIR_AUTO(weir_buffer) caret = {.account = out->account};
    WEIR_TRY(weir_buffer_print(&caret, reterr, "\n  %s", first > 1 ? "   " : ""));
    bool hidden = false;
    for (; at < line.size && current < first + WIDTH; current++) {
        size_t size = character_size(line.text + at, line.size - at);
        unsigned char c = (unsigned char)line.text[at];
        if (current >= first && !hidden) {
            bool tab = c == '\t';
            if (at >= masked && c != ' ') {
                WEIR_TRY(weir_buffer_print(out, reterr, "****"));
                hidden = true;
            } else if ((c < 0x20 && !tab) || c == 0x7f || (c >= 0x80 && !text_good)) {
                WEIR_TRY(weir_buffer_append(out, "?", 1, reterr));
            } else {
                WEIR_TRY(weir_buffer_append(out, line.text + at, size, reterr));
            }
            if (current < column)
                WEIR_TRY(weir_buffer_append(&caret, tab ? "\t" : " ", 1, reterr));
        }
        at += size;
    }
    if (at < line.size && !hidden)
        WEIR_TRY(weir_buffer_print(out, reterr, "..."));
    if (hidden && column > current)
        column = current;
    for (; current < column && current < first + WIDTH; current++)
        WEIR_TRY(weir_buffer_append(&caret, " ", 1, reterr));
    WEIR_TRY(weir_buffer_append(&caret, "^", 1, reterr));
    return weir_buffer_print(out, reterr, "%.*s", (int)caret.size,
                             (const char *)caret.data); /* print puts a NUL behind */
}

static int complaint_order(const void *a, const void *b)
{
    const struct complaint *x = a, *y = b;
    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    if (x->column != y->column)
        return x->column < y->column ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static weir_status complaint_print(const struct reading *reading, const struct complaint *complaint,
                                   struct weir_buffer *out, struct weir_error *reterr)
{
    const struct source_file *file = &reading->files[complaint->file];
    WEIR_TRY(weir_buffer_print(out, reterr, "%s:%d:%d: %s", file->path, complaint->line,
                               complaint->column, complaint->text));
    if (file->text && file->size)
        WEIR_TRY(excerpt(file, complaint->line, complaint->column, out, reterr));
    if (complaint->hint)
        WEIR_TRY(weir_buffer_print(out, reterr, "\n  hint: %s", complaint->hint));
    return WEIR_OK;
}

weir_status complaints_report(struct reading *reading,
                              void (*report)(void *argument, const char *text), void *argument,
                              struct weir_error *reterr)
{
    if (reading->complaint_count == 0)
        return WEIR_OK;
    qsort(reading->complaints, reading->complaint_count, sizeof *reading->complaints,
          complaint_order);
    WEIR_AUTO(weir_buffer) out = {.account = reading->arena->account};
    for (size_t i = 0; report && i < reading->complaint_count; i++) {
        weir_buffer_clear(&out);
        WEIR_TRY(complaint_print(reading, &reading->complaints[i], &out, reterr));
        report(argument, (const char *)out.data);
    }
    size_t count = reading->complaint_count;
    if (report)
        return weir_fail(reterr, WEIR_USAGE, "%s: %s%zu error%s%s", reading->files[0].path,
                         reading->complaint_dropped ? "more than " : "", count,
                         count == 1 ? "" : "s",
                         reading->complaint_dropped ? "; these are the first" : "");
    const struct complaint *first = &reading->complaints[0];
    weir_status status = weir_fail(reterr, WEIR_USAGE, "%s:%d:%d: %s",
                                   reading->files[first->file].path, first->line, first->column,
                                   first->text);
    if (first->hint)
        weir_error_hint(reterr, "%s", first->hint);
    return status;
}
