/* Between the files of this room. */
#ifndef WEIR_FORMATS_CSV_CSV_INT_H
#define WEIR_FORMATS_CSV_CSV_INT_H

#include "engine/base/limits.h"
#include "engine/base/text.h"
#include "formats/csv/csv.h"

#include <string.h>

/* One field of a record: the bytes between its delimiters, or between its quotes. */
struct csv_field {
    const uint8_t *data;
    uint32_t size;
    uint32_t position; /* byte of the record it begins at */
    bool quoted;
    bool escaped; /* it holds escapes: csv_unescape */
};

enum csv_fields_fault {
    CSV_FIELDS_OK,
    CSV_FIELDS_OPEN,  /* a quote is not closed */
    CSV_FIELDS_BEHIND /* something stands behind a closing quote */
};

/* Fields of a record, the first `most` of them; *ret_count: of all. *ret_position: of the fault. */
enum csv_fields_fault csv_fields(const struct weir_csv_dialect *dialect, struct weir_bytes record,
                                 struct csv_field *fields, uint32_t most, uint32_t *ret_count,
                                 uint32_t *ret_position);
/* The field's text without its escapes: at most field->size bytes to out. */
size_t csv_unescape(const struct weir_csv_dialect *dialect, const struct csv_field *field,
                    uint8_t *out);
static inline bool csv_is_null(const struct weir_csv_dialect *dialect, size_t null_size,
                               const struct csv_field *field)
{
    return !field->quoted && field->size == null_size &&
           (null_size == 0 || memcmp(field->data, dialect->null_text, null_size) == 0);
}

/* ---- csv_value.c ---- */
/* Reads text as a value of fixed width to `out` (boolean: one byte, 0 or 1). WEIR_REASON_COUNT:
 * done; else why not. Spaces around it do not count. */
enum weir_reason csv_value(const struct weir_type *type, const char *text, size_t size, void *out);

#endif
