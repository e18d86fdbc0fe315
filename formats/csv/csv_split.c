/* Bytes to records, records to fields. A quote counts at the beginning of a field only; both walks
 * agree on that, whatever the bytes are. */
#include "formats/csv/csv_int.h"

size_t weir_csv_mark_size(const uint8_t *data, size_t size)
{
    return size >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

/* Behind the closing quote of a field whose text begins at `at`, or `end`. *ret_closed,
 * *ret_escaped tell what was met. */
static const uint8_t *skip_quoted(const struct weir_csv_dialect *dialect, const uint8_t *at,
                                  const uint8_t *end, bool *ret_closed, bool *ret_escaped)
{
    bool doubled = dialect->escape == dialect->quote;
    *ret_closed = *ret_escaped = false;
    while (at < end) {
        if (*at == (uint8_t)dialect->escape && !doubled) {
            *ret_escaped = true;
            at += end - at > 1 ? 2 : 1;
        } else if (*at != (uint8_t)dialect->quote) {
            at++;
        } else if (doubled && end - at > 1 && at[1] == (uint8_t)dialect->quote) {
            *ret_escaped = true;
            at += 2;
        } else {
            *ret_closed = true;
            return at + 1;
        }
    }
    return end;
}

/* The end of the record that begins at `at` and has quotes before its first line end; end: none. */
static const uint8_t *quoted_record_end(const struct weir_csv_dialect *dialect, const uint8_t *at,
                                        const uint8_t *end, bool *ret_found)
{
    bool closed, escaped, field_start = true;
    while (at < end) {
        uint8_t byte = *at;
        if (field_start && byte == (uint8_t)dialect->quote) {
            at = skip_quoted(dialect, at + 1, end, &closed, &escaped);
            field_start = false;
            continue;
        }
        if (byte == (uint8_t)dialect->newline) {
            *ret_found = true;
            return at;
        }
        field_start = byte == (uint8_t)dialect->delimiter;
        at++;
    }
    *ret_found = false;
    return end;
}

static const uint8_t *record_end(const struct weir_csv_dialect *dialect, const uint8_t *at,
                                 const uint8_t *end, bool *ret_found)
{
    const uint8_t *line = memchr(at, dialect->newline, (size_t)(end - at)),
                  *stop = line ? line : end;
    *ret_found = line != NULL;
    if (memchr(at, dialect->quote, (size_t)(stop - at)))
        return quoted_record_end(dialect, at, end, ret_found);
    return stop;
}

uint32_t weir_csv_split(const struct weir_csv_dialect *dialect, const uint8_t *data, size_t size,
                        bool last, struct weir_bytes *ret_records, uint32_t most, size_t *ret_used)
{
    const uint8_t *at = data, *end = data + size;
    uint32_t count = 0;
    while (count < most && at < end) {
        bool found;
        const uint8_t *stop = record_end(dialect, at, end, &found);
        if (!found && !last)
            break;
        size_t length = (size_t)(stop - at);
        if (length && dialect->newline == '\n' && stop[-1] == '\r')
            length--;
        if (length || dialect->column_count == 1)
            ret_records[count++] = (struct weir_bytes){at, length};
        at = found ? stop + 1 : end;
    }
    *ret_used = (size_t)(at - data);
    return count;
}

enum csv_fields_fault csv_fields(const struct weir_csv_dialect *dialect, struct weir_bytes record,
                                 struct csv_field *fields, uint32_t most, uint32_t *ret_count,
                                 uint32_t *ret_position)
{
    const uint8_t *at = record.data, *end = at + record.size;
    uint32_t count = 0;
    for (;;) {
        struct csv_field field = {.data = at, .position = (uint32_t)(at - record.data)};
        if (at < end && *at == (uint8_t)dialect->quote) {
            bool closed;
            const uint8_t *behind = skip_quoted(dialect, at + 1, end, &closed, &field.escaped);
            *ret_position = closed ? (uint32_t)(behind - record.data) : field.position;
            if (!closed)
                return CSV_FIELDS_OPEN;
            if (behind < end && *behind != (uint8_t)dialect->delimiter)
                return CSV_FIELDS_BEHIND;
            field.quoted = true;
            field.data = at + 1;
            field.size = (uint32_t)(behind - at) - 2;
            at = behind;
        } else {
            const uint8_t *stop = at < end ? memchr(at, dialect->delimiter, (size_t)(end - at))
                                           : NULL;
            stop = stop ? stop : end;
            field.size = (uint32_t)(stop - at);
            at = stop;
        }
        if (count < most)
            fields[count] = field;
        count++;
        if (at >= end)
            break;
        at++;
    }
    *ret_count = count;
    return CSV_FIELDS_OK;
}

size_t csv_unescape(const struct weir_csv_dialect *dialect, const struct csv_field *field,
                    uint8_t *out)
{
    const uint8_t *at = field->data, *end = at + field->size;
    uint8_t *to = out;
    while (at < end) {
        if (*at == (uint8_t)dialect->escape && end - at > 1)
            at++;
        *to++ = *at++;
    }
    return (size_t)(to - out);
}

weir_status weir_csv_names(struct weir_arena *arena, const struct weir_csv_dialect *dialect,
                           struct weir_bytes record, const char ***ret_names, uint32_t *ret_count,
                           struct weir_error *reterr)
{
    struct csv_field *fields;
    const char **names;
    uint32_t count = 0, position;
    if (csv_fields(dialect, record, NULL, 0, &count, &position) != CSV_FIELDS_OK)
        return weir_fail(reterr, WEIR_CORRUPT,
                         "the header is no record of CSV: a quote at byte %u is not closed, or "
                         "has text behind it",
                         position);
    if (count > WEIR_SCHEMA_FIELDS_MAX)
        return weir_fail(reterr, WEIR_UNSUPPORTED, "the header has %u names; at most %d", count,
                         WEIR_SCHEMA_FIELDS_MAX);
    WEIR_TRY(weir_arena_alloc(arena, (count + 1) * sizeof *fields, &fields, reterr));
    WEIR_TRY(weir_arena_alloc(arena, (count + 1) * sizeof *names, &names, reterr));
    csv_fields(dialect, record, fields, count, &count, &position);
    for (uint32_t i = 0; i < count; i++) {
        char *name;
        WEIR_TRY(weir_arena_copy(arena, fields[i].data, fields[i].size, &name, reterr));
        size_t size = fields[i].size;
        if (fields[i].escaped)
            size = csv_unescape(dialect, &fields[i], (uint8_t *)name);
        name[size] = '\0';
        if (weir_utf8_invalid((const uint8_t *)name, size) < size || strlen(name) < size)
            return weir_fail(reterr, WEIR_CORRUPT, "name %u of the header, at byte %u, is no UTF-8",
                             i + 1, fields[i].position);
        names[i] = name;
    }
    *ret_names = names;
    *ret_count = count;
    return WEIR_OK;
}
