/* Records to columns. A record that does not fit leaves no trace in them. */
#include "formats/csv/csv_int.h"

#define RECORDS_SIZE_MAX (512u << 20)

struct column {
    const struct weir_field *field;
    uint32_t from;  /* field of the record */
    uint32_t width; /* 0: boolean, string, binary */
    struct weir_vector vector;
    struct weir_buffer bytes; /* strings and binaries: values so far */
    uint32_t nulls;
};

struct weir_csv_decoder {
    struct weir_account *account;
    struct weir_csv_dialect dialect;
    const struct weir_type *schema;
    size_t null_size;
    struct column *columns;
    struct csv_field *fields; /* dialect.column_count */
    struct weir_buffer scratch;
};

/* One call of decode. */
struct decoding {
    struct weir_csv_decoder *decoder;
    struct weir_arena *arena;
    struct weir_refusal *refusals;
    uint32_t refusal_count;
    uint32_t row;
};

weir_status weir_csv_decoder_new(struct weir_account *account, const struct weir_type *schema,
                                 const uint32_t *fields, const struct weir_csv_dialect *dialect,
                                 struct weir_csv_decoder **ret_decoder, struct weir_error *reterr)
{
    struct weir_csv_decoder *decoder;
    weir_status status;
    WEIR_TRY(weir_alloc_zero(account, 1, sizeof *decoder, &decoder, reterr));
    decoder->account = account;
    decoder->dialect = *dialect;
    decoder->schema = schema;
    decoder->null_size = dialect->null_text ? strlen(dialect->null_text) : 0;
    weir_buffer_init(&decoder->scratch, account);
    WEIR_TRY_OUT(status, weir_alloc_zero(account, (size_t)dialect->column_count + 1,
                                         sizeof *decoder->fields, &decoder->fields, reterr));
    WEIR_TRY_OUT(status, weir_alloc_zero(account, (size_t)schema->child_count + 1,
                                         sizeof *decoder->columns, &decoder->columns, reterr));
    for (uint32_t i = 0; i < schema->child_count; i++) {
        struct column *column = &decoder->columns[i];
        column->field = &schema->children[i];
        column->from = fields ? fields[i] : i;
        column->width = weir_type_width(&column->field->type);
        weir_buffer_init(&column->bytes, account);
        if (weir_type_is_nested(column->field->type.id))
            status = weir_fail(reterr, WEIR_USAGE, "column %s: CSV holds no %s",
                               column->field->name, weir_type_name(column->field->type.id));
        else if (column->from >= dialect->column_count && column->from != WEIR_CSV_NO_FIELD)
            status = weir_fail(reterr, WEIR_USAGE, "column %s: field %u of %u", column->field->name,
                               column->from + 1, dialect->column_count);
        if (status != WEIR_OK)
            goto out;
    }
    *ret_decoder = decoder;
    return WEIR_OK;
out:
    weir_csv_decoder_free(decoder);
    return status;
}

void weir_csv_decoder_free(struct weir_csv_decoder *decoder)
{
    if (!decoder)
        return;
    for (uint32_t i = 0; decoder->columns && i < decoder->schema->child_count; i++)
        weir_buffer_done(&decoder->columns[i].bytes);
    weir_free(decoder->columns);
    weir_free(decoder->fields);
    weir_buffer_done(&decoder->scratch);
    weir_free(decoder);
}

/* ---- refusing ---- */

static weir_status refuse(struct decoding *decoding, uint32_t record, enum weir_reason reason,
                          uint32_t position, char *message)
{
    decoding->refusals[decoding->refusal_count++] = (struct weir_refusal){
        .record = record, .reason = reason, .position = position, .message = message};
    return WEIR_OK;
}

static weir_status refuse_value(struct decoding *decoding, uint32_t record, enum weir_reason reason,
                                const struct column *column, uint32_t position,
                                struct weir_error *reterr)
{
    char *message;
    const char *type = weir_type_name(column->field->type.id);
    switch (reason) {
    case WEIR_REASON_REQUIRED:
        WEIR_TRY(weir_arena_print(decoding->arena, &message, reterr, "%s: required, but null",
                                  column->field->name));
        break;
    case WEIR_REASON_ENCODING:
        WEIR_TRY(weir_arena_print(decoding->arena, &message, reterr, "%s: not UTF-8",
                                  column->field->name));
        break;
    case WEIR_REASON_RANGE:
        WEIR_TRY(weir_arena_print(decoding->arena, &message, reterr, "%s: does not fit in %s",
                                  column->field->name, type));
        break;
    default:
        WEIR_TRY(weir_arena_print(decoding->arena, &message, reterr, "%s: wanted %s",
                                  column->field->name, type));
    }
    return refuse(decoding, record, reason, position, message);
}

static weir_status refuse_shape(struct decoding *decoding, uint32_t record,
                                enum csv_fields_fault fault, uint32_t count, uint32_t position,
                                struct weir_error *reterr)
{
    char *message;
    if (fault == CSV_FIELDS_OPEN)
        WEIR_TRY(weir_arena_print(decoding->arena, &message, reterr, "a quote is not closed"));
    else if (fault == CSV_FIELDS_BEHIND)
        WEIR_TRY(weir_arena_print(decoding->arena, &message, reterr,
                                  "no delimiter behind a closing quote"));
    else
        WEIR_TRY(weir_arena_print(decoding->arena, &message, reterr, "%u fields, wanted %u", count,
                                  decoding->decoder->dialect.column_count));
    return refuse(decoding, record, WEIR_REASON_SYNTAX,
                  fault == CSV_FIELDS_OK ? UINT32_MAX : position, message);
}

/* ---- values ---- */

static weir_status put_null(struct decoding *decoding, struct column *column,
                            enum weir_reason *ret_reason)
{
    uint32_t row = decoding->row;
    if (column->field->required) {
        *ret_reason = WEIR_REASON_REQUIRED;
        return WEIR_OK;
    }
    weir_bit_clear(column->vector.validity, row);
    if (column->vector.offsets)
        column->vector.offsets[row + 1] = (int32_t)column->bytes.size;
    else if (column->width)
        memset((uint8_t *)column->vector.values + (size_t)row * column->width, 0, column->width);
    return WEIR_OK;
}

static weir_status put_bytes(struct decoding *decoding, struct column *column,
                             const struct csv_field *field, enum weir_reason *ret_reason,
                             struct weir_error *reterr)
{
    struct weir_buffer *bytes = &column->bytes;
    bool binary = column->field->type.id == WEIR_BINARY;
    size_t got;
    WEIR_TRY(weir_buffer_reserve(bytes, (size_t)field->size + 4, reterr));
    uint8_t *to = bytes->data + bytes->size;
    if (binary) {
        if (!weir_base64_decode((const char *)field->data, field->size, to, &got)) {
            *ret_reason = WEIR_REASON_TYPE;
            return WEIR_OK;
        }
    } else {
        got = field->size;
        if (field->escaped)
            got = csv_unescape(&decoding->decoder->dialect, field, to);
        else if (got)
            memcpy(to, field->data, got);
        if (weir_utf8_invalid(to, got) != got) {
            *ret_reason = WEIR_REASON_ENCODING;
            return WEIR_OK;
        }
    }
    bytes->size += got;
    column->vector.offsets[decoding->row + 1] = (int32_t)bytes->size;
    return WEIR_OK;
}

static weir_status put_value(struct decoding *decoding, struct column *column,
                             const struct csv_field *field, enum weir_reason *ret_reason,
                             struct weir_error *reterr)
{
    const struct weir_csv_decoder *decoder = decoding->decoder;
    const char *text = (const char *)field->data;
    size_t size = field->size;
    uint8_t truth = 0;
    if (csv_is_null(&decoder->dialect, decoder->null_size, field) ||
        (size == 0 && !column->vector.offsets))
        return put_null(decoding, column, ret_reason);
    if (column->vector.offsets)
        return put_bytes(decoding, column, field, ret_reason, reterr);
    if (field->escaped) {
        struct weir_buffer *scratch = &decoding->decoder->scratch;
        weir_buffer_clear(scratch);
        WEIR_TRY(weir_buffer_reserve(scratch, size + 1, reterr));
        size = csv_unescape(&decoder->dialect, field, scratch->data);
        text = (const char *)scratch->data;
    }
    void *out = column->width
                    ? (uint8_t *)column->vector.values + (size_t)decoding->row * column->width
                    : &truth;
    *ret_reason = csv_value(&column->field->type, text, size, out);
    if (!column->width && truth)
        weir_bit_set(column->vector.values, decoding->row);
    return WEIR_OK;
}

/* What a refused record has put into columns [0, count) is taken back. */
static void take_back(struct decoding *decoding, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct column *column = &decoding->decoder->columns[i];
        weir_bit_set(column->vector.validity, decoding->row);
        if (column->vector.offsets)
            column->bytes.size = (size_t)column->vector.offsets[decoding->row];
        else if (!column->width)
            weir_bit_clear(column->vector.values, decoding->row);
    }
}

static weir_status decode_record(struct decoding *decoding, uint32_t number,
                                 struct weir_bytes record, struct weir_error *reterr)
{
    struct weir_csv_decoder *decoder = decoding->decoder;
    uint32_t count = 0, position = 0;
    char *message;
    if (record.size > WEIR_RECORD_SIZE_MAX) {
        WEIR_TRY(weir_arena_print(decoding->arena, &message, reterr, "%zu bytes; at most %u",
                                  record.size, WEIR_RECORD_SIZE_MAX));
        return refuse(decoding, number, WEIR_REASON_TOO_LARGE, UINT32_MAX, message);
    }
    enum csv_fields_fault fault = csv_fields(&decoder->dialect, record, decoder->fields,
                                             decoder->dialect.column_count, &count, &position);
    if (fault != CSV_FIELDS_OK || count != decoder->dialect.column_count)
        return refuse_shape(decoding, number, fault, count, position, reterr);
    for (uint32_t i = 0; i < decoder->schema->child_count; i++) {
        struct column *column = &decoder->columns[i];
        static const struct csv_field absent = {.position = UINT32_MAX};
        bool there = column->from != WEIR_CSV_NO_FIELD;
        const struct csv_field *field = there ? &decoder->fields[column->from] : &absent;
        enum weir_reason reason = WEIR_REASON_COUNT;
        WEIR_TRY(there ? put_value(decoding, column, field, &reason, reterr)
                       : put_null(decoding, column, &reason));
        if (reason != WEIR_REASON_COUNT) {
            take_back(decoding, i + 1);
            return refuse_value(decoding, number, reason, column, field->position, reterr);
        }
    }
    decoding->row++;
    return WEIR_OK;
}

/* ---- the batch ---- */

static weir_status columns_begin(struct decoding *decoding, uint32_t count,
                                 struct weir_error *reterr)
{
    struct weir_csv_decoder *decoder = decoding->decoder;
    size_t bits = (size_t)count / 8 + 72;
    for (uint32_t i = 0; i < decoder->schema->child_count; i++) {
        struct column *column = &decoder->columns[i];
        weir_buffer_clear(&column->bytes);
        WEIR_TRY(weir_vector_make(decoding->arena, &column->field->type, count, 0, &column->vector,
                                  reterr));
        WEIR_TRY(weir_arena_alloc(decoding->arena, bits, &column->vector.validity, reterr));
        memset(column->vector.validity, 0xff, bits);
    }
    return WEIR_OK;
}

static weir_status columns_end(struct decoding *decoding, struct weir_vector *ret_columns,
                               struct weir_error *reterr)
{
    struct weir_csv_decoder *decoder = decoding->decoder;
    for (uint32_t i = 0; i < decoder->schema->child_count; i++) {
        struct column *column = &decoder->columns[i];
        struct weir_vector *vector = &column->vector;
        vector->count = decoding->row;
        vector->null_count = decoding->row -
                             (uint32_t)weir_bits_count(vector->validity, decoding->row);
        if (vector->null_count == 0)
            vector->validity = NULL;
        if (vector->offsets) {
            WEIR_TRY(weir_arena_alloc(decoding->arena, column->bytes.size + 64, &vector->values,
                                      reterr));
            if (column->bytes.size)
                memcpy(vector->values, column->bytes.data, column->bytes.size);
        }
        ret_columns[i] = *vector;
    }
    return WEIR_OK;
}

weir_status weir_csv_decode(struct weir_csv_decoder *decoder, const struct weir_bytes *records,
                            uint32_t count, struct weir_arena *arena,
                            struct weir_decoded *ret_decoded, struct weir_error *reterr)
{
    struct decoding decoding = {.decoder = decoder, .arena = arena};
    struct weir_vector *columns;
    uint32_t *source;
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; i++)
        total += records[i].size;
    if (total > RECORDS_SIZE_MAX)
        return weir_fail(reterr, WEIR_USAGE, "%llu bytes of records at once; at most %u",
                         (unsigned long long)total, RECORDS_SIZE_MAX);
    WEIR_TRY(weir_arena_alloc(arena, ((size_t)count + 1) * sizeof *source, &source, reterr));
    WEIR_TRY(weir_arena_alloc(arena, ((size_t)count + 1) * sizeof *decoding.refusals,
                              &decoding.refusals, reterr));
    WEIR_TRY(weir_arena_zero(arena, (size_t)decoder->schema->child_count + 1, sizeof *columns,
                             &columns, reterr));
    WEIR_TRY(columns_begin(&decoding, count, reterr));
    for (uint32_t i = 0; i < count; i++) {
        source[decoding.row] = i;
        WEIR_TRY(decode_record(&decoding, i, records[i], reterr));
    }
    WEIR_TRY(columns_end(&decoding, columns, reterr));
    *ret_decoded = (struct weir_decoded){
        .batch = {.type = decoder->schema, .count = decoding.row, .columns = columns},
        .source = source,
        .refusals = decoding.refusals,
        .refusal_count = decoding.refusal_count};
    return WEIR_OK;
}
