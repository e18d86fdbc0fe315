/* Records to rows, as their plans say. A record that is refused leaves no trace in the columns. */
#include "formats/avro/rows_int.h"

#include <string.h>

#define RECORDS_SIZE_MAX (512u << 20)
#define FEW_KEYS         16 /* up to here each pair of a map's keys is compared */

/* One call of decode. */
struct decoding {
    struct weir_avro_rows *rows;
    struct weir_arena *arena;
    struct avro_walk walk;
    const char *path;    /* of the fault */
    const char *message; /* whole, from the plan; NULL: path and fault */
    weir_status status;  /* of memory */
    struct weir_error *reterr;
};

weir_status weir_avro_rows_new(struct weir_account *account, const struct weir_type *columns,
                               struct weir_avro_rows **ret_rows, struct weir_error *reterr)
{
    struct weir_avro_rows *rows;
    WEIR_TRY(weir_alloc_zero(account, 1, sizeof *rows, &rows, reterr));
    rows->account = account;
    rows->schema = columns;
    weir_status status = avro_columns_init(rows, reterr);
    if (status != WEIR_OK)
        weir_avro_rows_free(rows);
    else
        *ret_rows = rows;
    return status;
}

void weir_avro_rows_free(struct weir_avro_rows *rows)
{
    if (!rows)
        return;
    avro_columns_done(rows);
    weir_free(rows);
}

/* ---- values ---- */

static bool fail(struct decoding *decoding, const struct avro_node *node, enum weir_reason reason,
                 const char *fault)
{
    decoding->path = node->path;
    return avro_walk_fail(&decoding->walk, reason, fault);
}

static bool memory(struct decoding *decoding, weir_status status)
{
    if (status != WEIR_OK)
        decoding->status = status;
    return status == WEIR_OK;
}

static bool put_fixed(struct decoding *decoding, struct avro_column *column, const void *value)
{
    return memory(decoding, avro_put_fixed(column, value, decoding->reterr));
}

static bool put_text(struct decoding *decoding, const struct avro_node *node, const void *data,
                     size_t size)
{
    struct avro_column *column = &decoding->rows->columns[node->column];
    if (column->id == WEIR_STRING && weir_utf8_invalid(data, size) < size)
        return fail(decoding, node, WEIR_REASON_ENCODING, "not UTF-8");
    if (column->values.size + size > WEIR_BATCH_BYTES_MAX)
        return fail(decoding, node, WEIR_REASON_TOO_LARGE, "too large");
    return memory(decoding, avro_put_text(column, data, size, decoding->reterr));
}

static bool put_decimal(struct decoding *decoding, const struct avro_node *node, weir_int128 value,
                        int scale)
{
    struct avro_column *column = &decoding->rows->columns[node->column];
    const struct weir_type *type = &column->field->type;
    weir_int128 limit = 1;
    for (int i = 0; i < type->precision; i++)
        limit *= 10;
    for (; scale > type->scale && value % 10 == 0; scale--)
        value /= 10;
    for (; scale < type->scale && !__builtin_mul_overflow(value, 10, &value); scale++)
        ;
    if (scale != type->scale || value <= -limit || value >= limit)
        return fail(decoding, node, WEIR_REASON_RANGE, "does not fit in decimal");
    return put_fixed(decoding, column, &value);
}

/* Two's complement, the highest byte first. */
static bool put_unscaled(struct decoding *decoding, const struct avro_node *node,
                         struct weir_bytes bytes)
{
    uint8_t sign = bytes.size && bytes.data[0] >= 0x80 ? 0xFF : 0;
    weir_int128 value;
    while (bytes.size > 16 && bytes.data[0] == sign) {
        bytes.data++;
        bytes.size--;
    }
    if (bytes.size > 16 || (bytes.size && (bytes.data[0] >= 0x80) != (sign != 0)))
        return fail(decoding, node, WEIR_REASON_RANGE, "does not fit in decimal");
    unsigned __int128 bits = sign ? ~(unsigned __int128)0 : 0;
    for (size_t i = 0; i < bytes.size; i++)
        bits = bits << 8 | bytes.data[i];
    memcpy(&value, &bits, sizeof value);
    return put_decimal(decoding, node, value, node->writer->scale);
}

static bool put_bytes(struct decoding *decoding, const struct avro_node *node)
{
    const struct weir_avro_type *writer = node->writer;
    struct avro_column *column = &decoding->rows->columns[node->column];
    struct weir_bytes bytes = {NULL, writer->size};
    bool read = writer->kind == WEIR_AVRO_FIXED
                    ? avro_walk_run(&decoding->walk, writer->size, &bytes.data)
                    : avro_walk_text(&decoding->walk, &bytes);
    if (!read)
        return false;
    if (node->action == AVRO_PUT_DECIMAL)
        return put_unscaled(decoding, node, bytes);
    if (node->action == AVRO_PUT_BYTES)
        return put_text(decoding, node, bytes.data, bytes.size);
    if (bytes.size != column->width)
        return fail(decoding, node, WEIR_REASON_RANGE, "of another length");
    return put_fixed(decoding, column, bytes.data);
}

static bool put_number(struct decoding *decoding, const struct avro_node *node)
{
    struct avro_walk *walk = &decoding->walk;
    struct avro_column *column = &decoding->rows->columns[node->column];
    int64_t number;
    int32_t narrow;
    if (!(node->writer->kind == WEIR_AVRO_INT ? avro_walk_int(walk, &number)
                                              : avro_walk_long(walk, &number)))
        return false;
    if (node->action == AVRO_PUT_WHOLE)
        return put_decimal(decoding, node, number, 0);
    if (node->action == AVRO_PUT_REAL) {
        double real = (double)number;
        float single = (float)number;
        return put_fixed(decoding, column,
                         column->id == WEIR_FLOAT ? (void *)&single : (void *)&real);
    }
    if (node->action == AVRO_PUT_INT) {
        narrow = (int32_t)number;
        if (narrow != number)
            return fail(decoding, node, WEIR_REASON_RANGE, "does not fit in int");
        return put_fixed(decoding, column, &narrow);
    }
    if (node->action == AVRO_PUT_SCALED && node->factor < 0)
        number = number / -node->factor - (number % -node->factor < 0);
    else if (node->action == AVRO_PUT_SCALED &&
             __builtin_mul_overflow(number, node->factor, &number))
        return fail(decoding, node, WEIR_REASON_RANGE, "an impossible time");
    if (column->id == WEIR_TIME && (number < 0 || number >= 86400000000ll))
        return fail(decoding, node, WEIR_REASON_RANGE, "an impossible time");
    return put_fixed(decoding, column, &number);
}

static bool put_real(struct decoding *decoding, const struct avro_node *node)
{
    struct avro_column *column = &decoding->rows->columns[node->column];
    const uint8_t *run;
    double value;
    float single;
    bool is_float = node->writer->kind == WEIR_AVRO_FLOAT;
    if (!avro_walk_run(&decoding->walk, is_float ? 4 : 8, &run))
        return false;
    if (is_float) {
        memcpy(&single, run, sizeof single);
        value = (double)single;
    } else {
        memcpy(&value, run, sizeof value);
        single = (float)value;
    }
    return put_fixed(decoding, column, column->id == WEIR_FLOAT ? (void *)&single : (void *)&value);
}

/* Texts of what has a type of its own in columns; the same forms as JSON. */
static bool put_parsed(struct decoding *decoding, const struct avro_node *node)
{
    struct avro_column *column = &decoding->rows->columns[node->column];
    const struct weir_type *type = &column->field->type;
    struct weir_bytes text;
    union {
        uint8_t uuid[16];
        weir_int128 decimal;
        int32_t days;
        int64_t micros;
    } value;
    if (!avro_walk_text(&decoding->walk, &text))
        return false;
    const char *from = (const char *)text.data;
    bool read = type->id == WEIR_UUID        ? weir_text_uuid(from, text.size, value.uuid)
                : type->id == WEIR_DATE      ? weir_text_date(from, text.size, &value.days)
                : type->id == WEIR_TIME      ? weir_text_time(from, text.size, &value.micros)
                : type->id == WEIR_TIMESTAMP ? weir_text_timestamp(from, text.size, &value.micros)
                : type->id == WEIR_TIMESTAMPTZ
                    ? weir_text_timestamptz(from, text.size, &value.micros)
                    : weir_text_decimal(from, text.size, type->precision, type->scale,
                                        &value.decimal);
    return read
               ? put_fixed(decoding, column, &value)
               : fail(decoding, node, WEIR_REASON_TYPE, "a text that is none of the column's type");
}

static bool put_symbol(struct decoding *decoding, const struct avro_node *node)
{
    int64_t number;
    if (!avro_walk_long(&decoding->walk, &number))
        return false;
    if (number < 0 || (uint64_t)number >= node->writer->size)
        return fail(decoding, node, WEIR_REASON_SYNTAX, "a symbol that the enum lacks");
    const char *symbol = node->writer->symbols[number];
    return put_text(decoding, node, symbol, strlen(symbol));
}

/* ---- values of values ---- */

static bool put(struct decoding *decoding, const struct avro_node *node);

static bool put_group(struct decoding *decoding, const struct avro_node *node)
{
    return memory(decoding, avro_put_group(decoding->rows, node->column, decoding->reterr));
}

static bool put_null(struct decoding *decoding, uint32_t column)
{
    return memory(decoding, avro_put_null(decoding->rows, column, decoding->reterr));
}

static bool put_union(struct decoding *decoding, const struct avro_node *node)
{
    int64_t number;
    if (!avro_walk_long(&decoding->walk, &number))
        return false;
    if (number < 0 || (uint64_t)number >= node->writer->field_count)
        return fail(decoding, node, WEIR_REASON_SYNTAX, "a branch that the union lacks");
    return put(decoding, node->below[number]);
}

/* Of a column that the writer's schema lacks. */
static bool put_missing(struct decoding *decoding, const struct avro_node *node, uint32_t i)
{
    const struct avro_default *value = &node->defaults[i];
    if (!value->node)
        return put_null(decoding, node->missing[i]);
    struct avro_walk walk = decoding->walk;
    decoding->walk = (struct avro_walk){.data = value->bytes.data, .size = value->bytes.size};
    bool good = put(decoding, value->node);
    if (good)
        decoding->walk = walk;
    else
        decoding->walk.position = walk.position;
    return good;
}

static bool put_record(struct decoding *decoding, const struct avro_node *node)
{
    for (size_t i = 0; i < node->writer->field_count; i++)
        if (!put(decoding, node->below[i]))
            return false;
    for (uint32_t i = 0; i < node->missing_count; i++)
        if (!put_missing(decoding, node, i))
            return false;
    return put_group(decoding, node);
}

static bool same_key(const struct avro_column *keys, uint32_t a, uint32_t b)
{
    const int32_t *offsets = (const int32_t *)keys->offsets.data;
    int32_t at = a ? offsets[a - 1] : 0, bt = b ? offsets[b - 1] : 0;
    return offsets[a] - at == offsets[b] - bt &&
           memcmp(keys->values.data + at, keys->values.data + bt, (size_t)(offsets[a] - at)) == 0;
}

/* Whether keys [first, count) are all different: pairwise, or by a table of their hashes. */
static bool keys_differ(struct decoding *decoding, const struct avro_column *keys, uint32_t first)
{
    uint32_t count = keys->count - first, *table, slots = 64;
    const int32_t *offsets = (const int32_t *)keys->offsets.data;
    for (uint32_t i = 0; count <= FEW_KEYS && i < count; i++)
        for (uint32_t j = 0; j < i; j++)
            if (same_key(keys, first + i, first + j))
                return false;
    if (count <= FEW_KEYS)
        return true;
    while (slots < 2 * count)
        slots *= 2;
    if (!memory(decoding,
                weir_arena_zero(decoding->arena, slots, sizeof *table, &table, decoding->reterr)))
        return false;
    for (uint32_t key = first; key < keys->count; key++) {
        uint64_t hash = 14695981039346656037ull;
        for (int32_t at = key ? offsets[key - 1] : 0; at < offsets[key]; at++)
            hash = (hash ^ keys->values.data[at]) * 1099511628211ull;
        uint32_t slot = (uint32_t)(hash >> 32 ^ hash) & (slots - 1);
        for (; table[slot]; slot = (slot + 1) & (slots - 1))
            if (same_key(keys, key, table[slot] - 1))
                return false;
        table[slot] = key + 1;
    }
    return true;
}

static bool put_key(struct decoding *decoding, const struct avro_node *node, uint32_t column)
{
    struct weir_bytes key;
    struct avro_node at = {.path = node->path, .column = column};
    return avro_walk_text(&decoding->walk, &key) && put_text(decoding, &at, key.data, key.size);
}

static bool put_items(struct decoding *decoding, const struct avro_node *node)
{
    struct avro_column *columns = decoding->rows->columns;
    uint32_t child = node->column + 1, first = columns[child].count;
    bool is_map = node->action == AVRO_PUT_MAP;
    size_t count;
    for (;;) {
        if (!avro_walk_count(&decoding->walk, &count))
            return false;
        if (count == 0)
            break;
        if (columns[child].count + count > WEIR_LIST_ELEMENTS_MAX)
            return fail(decoding, node, WEIR_REASON_TOO_LARGE, "too many items");
        for (size_t i = 0; i < count; i++)
            if ((is_map && !put_key(decoding, node, child)) || !put(decoding, node->below[0]))
                return false;
    }
    if (is_map && !keys_differ(decoding, &columns[child], first))
        return decoding->status == WEIR_OK &&
               fail(decoding, node, WEIR_REASON_SYNTAX, "a key is there twice");
    return put_group(decoding, node);
}

static bool put_boolean(struct decoding *decoding, const struct avro_node *node)
{
    const uint8_t *run;
    if (!avro_walk_run(&decoding->walk, 1, &run))
        return false;
    if (*run > 1)
        return fail(decoding, node, WEIR_REASON_SYNTAX, "a boolean of neither 0 nor 1");
    return put_fixed(decoding, &decoding->rows->columns[node->column], run);
}

static bool put(struct decoding *decoding, const struct avro_node *node)
{
    decoding->path = node->path;
    switch (node->action) {
    case AVRO_SKIP: return avro_walk_skip(&decoding->walk, node->writer, 0);
    case AVRO_FAIL:
        decoding->message = node->message;
        return avro_walk_fail(&decoding->walk, node->reason, "");
    case AVRO_PUT_NULL: return put_null(decoding, node->column);
    case AVRO_PUT_BOOLEAN: return put_boolean(decoding, node);
    case AVRO_PUT_INT:
    case AVRO_PUT_LONG:
    case AVRO_PUT_SCALED:
    case AVRO_PUT_REAL:
    case AVRO_PUT_WHOLE: return put_number(decoding, node);
    case AVRO_PUT_FLOAT: return put_real(decoding, node);
    case AVRO_PUT_DECIMAL:
    case AVRO_PUT_BYTES:
    case AVRO_PUT_FIXED: return put_bytes(decoding, node);
    case AVRO_PUT_TEXT: return put_parsed(decoding, node);
    case AVRO_PUT_SYMBOL: return put_symbol(decoding, node);
    case AVRO_PUT_UNION: return put_union(decoding, node);
    case AVRO_PUT_RECORD: return put_record(decoding, node);
    case AVRO_PUT_LIST:
    case AVRO_PUT_MAP: return put_items(decoding, node);
    }
    return false;
}

/* ---- records ---- */

static bool put_whole(struct decoding *decoding, const struct weir_avro_record *record)
{
    size_t size = record->bytes.size;
    decoding->path = "record";
    decoding->message = NULL;
    decoding->walk = (struct avro_walk){
        .data = record->bytes.data, .size = size, .budget = AVRO_ITEMS(size)};
    if (size > WEIR_RECORD_SIZE_MAX)
        return avro_walk_fail(&decoding->walk, WEIR_REASON_TOO_LARGE, "too large");
    if (!put(decoding, record->plan->root))
        return false;
    decoding->path = "record";
    return decoding->walk.position == size ||
           avro_walk_fail(&decoding->walk, WEIR_REASON_SYNTAX, "bytes stand behind its end");
}

static weir_status refuse(struct decoding *decoding, uint32_t record,
                          struct weir_refusal *ret_refusal)
{
    char *message = NULL;
    if (!decoding->message)
        WEIR_TRY(weir_arena_print(decoding->arena, &message, decoding->reterr, "%s: %s",
                                  *decoding->path ? decoding->path : "record",
                                  decoding->walk.fault));
    *ret_refusal = (struct weir_refusal){.record = record,
                                         .reason = decoding->walk.reason,
                                         .position = (uint32_t)decoding->walk.position,
                                         .message = message ? message : decoding->message};
    return WEIR_OK;
}

weir_status weir_avro_rows_decode(struct weir_avro_rows *rows,
                                  const struct weir_avro_record *records, uint32_t count,
                                  struct weir_arena *arena, struct weir_decoded *ret_decoded,
                                  struct weir_error *reterr)
{
    struct decoding decoding = {.rows = rows, .arena = arena, .reterr = reterr};
    struct weir_refusal *refusals;
    uint32_t *source, good = 0, bad = 0;
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; i++)
        total += records[i].bytes.size;
    if (total > RECORDS_SIZE_MAX)
        return weir_fail(reterr, WEIR_USAGE, "%llu bytes of records at once; at most %u",
                         (unsigned long long)total, RECORDS_SIZE_MAX);
    WEIR_TRY(weir_arena_alloc(arena, ((size_t)count + 1) * sizeof *source, &source, reterr));
    WEIR_TRY(weir_arena_alloc(arena, ((size_t)count + 1) * sizeof *refusals, &refusals, reterr));
    avro_columns_clear(rows);
    for (uint32_t i = 0; i < count; i++) {
        if (put_whole(&decoding, &records[i])) {
            source[good++] = i;
            continue;
        }
        if (decoding.status != WEIR_OK)
            return decoding.status;
        avro_columns_cut(rows, 0, good);
        WEIR_TRY(refuse(&decoding, i, &refusals[bad++]));
    }
    *ret_decoded = (struct weir_decoded){
        .source = source, .refusals = refusals, .refusal_count = bad};
    return avro_columns_batch(rows, arena, &ret_decoded->batch, reterr);
}
