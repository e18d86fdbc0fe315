/* Rows of Parquet files: read as the file's types, made the columns' here, so that a value that
 * does not fit costs its row and not the file. What is kept of a refused row is a JSON object. */
#include "scheduler/window/decode.h"

#include "formats/json/json.h"

#include <math.h>
#include <string.h>

struct parquet_rows {
    struct decoder decoder;
    struct decoder *json;    /* for records that were refused before; NULL = none yet */
    struct weir_arena arena; /* of `found` */
    struct weir_type found;  /* STRUCT; no fields: nothing */
};

/* ---- layouts ---- */

static bool is_whole(const struct weir_type *type)
{
    return type->id == WEIR_INT || type->id == WEIR_LONG;
}

static bool is_instant(const struct weir_type *type)
{
    return type->id == WEIR_TIMESTAMP || type->id == WEIR_TIMESTAMPTZ;
}

/* The reader of Parquet makes the file's type the column's. */
static bool is_read_as(const struct weir_type *file, const struct weir_type *column)
{
    if (!weir_type_is_nested(column->id))
        return weir_type_equal(file, column, false) || weir_type_can_widen(file, column) ||
               (file->id == WEIR_DATE && column->id == WEIR_TIMESTAMP);
    if (file->id != column->id)
        return false;
    for (uint32_t i = 0; i < column->child_count; i++) {
        const struct weir_field *field = &column->children[i];
        const struct weir_field *same = column->id == WEIR_STRUCT
                                            ? weir_type_child(file, field->name,
                                                              strlen(field->name))
                                            : &file->children[i];
        if (same && !is_read_as(&same->type, &field->type))
            return false;
    }
    return true;
}

static weir_status refuse_file(struct weir_arena *arena, const struct weir_table_config *table,
                               const struct weir_field *column, const struct weir_type *file,
                               struct weir_error *reterr)
{
    struct weir_buffer has = {.account = arena->account}, wants = {.account = arena->account};
    weir_status status = weir_type_print(file, &has, reterr);
    if (status == WEIR_OK)
        status = weir_type_print(&column->type, &wants, reterr);
    if (status == WEIR_OK) {
        status = weir_fail(reterr, WEIR_DECISION, "column %s: the file has %.200s, %s wants %.200s",
                           column->name, (const char *)has.data, table->name,
                           (const char *)wants.data);
        weir_error_hint(reterr, "nothing of the file was landed; declare a type that the file's "
                                "widens to, or write the file anew");
    }
    weir_buffer_done(&has);
    weir_buffer_done(&wants);
    return status;
}

static weir_status choose_cast(struct weir_arena *arena, const struct weir_table_config *table,
                               const struct weir_field *column, const struct weir_type *file,
                               struct weir_layout *layout, uint32_t i, struct weir_error *reterr)
{
    enum layout_cast cast = CAST_NONE;
    layout->units[i] = decode_unit(table, column->name);
    if (is_read_as(file, &column->type))
        return WEIR_OK;
    if (file->id == WEIR_LONG && column->type.id == WEIR_INT)
        cast = CAST_NARROW;
    else if (file->id == WEIR_DOUBLE && column->type.id == WEIR_FLOAT)
        cast = CAST_FLOAT;
    else if (file->id == WEIR_TIMESTAMP && column->type.id == WEIR_TIMESTAMPTZ)
        cast = CAST_AS_UTC;
    else if (is_whole(file) && is_instant(&column->type) && layout->units[i] != WEIR_TIME_ISO)
        cast = CAST_UNIT;
    else
        return refuse_file(arena, table, column, file, reterr);
    layout->casts[i] = cast;
    layout->wanted.children[i].type = cast == CAST_UNIT ? (struct weir_type){.id = WEIR_LONG}
                                                        : *file;
    return WEIR_OK;
}

static void bare(struct weir_type *type)
{
    for (uint32_t i = 0; i < type->child_count; i++) {
        type->children[i].id = 0;
        type->children[i].required = type->id == WEIR_MAP && i == 0;
        bare(&type->children[i].type);
    }
}

/* The file's column for one of the table's: of its name, else of one of its other names. */
static const struct weir_field *file_column(const struct weir_table_config *table,
                                            const struct weir_type *columns,
                                            const struct weir_field *column,
                                            const struct weir_type *file)
{
    const struct weir_field *has = weir_type_child(file, column->name, strlen(column->name));
    for (uint32_t i = 0; !has && i < file->child_count; i++) {
        const char *name = file->children[i].name;
        if (!weir_type_child(columns, name, strlen(name)) &&
            decode_aliased(table, columns, name) == column)
            has = &file->children[i];
    }
    return has;
}

/* What the file would be like with the table's names. */
static weir_status rename_columns(struct weir_arena *arena, const struct weir_type *file,
                                  const struct weir_layout *layout, struct weir_type *ret_type,
                                  struct weir_error *reterr)
{
    WEIR_TRY(weir_type_copy(arena, file, ret_type, reterr));
    for (uint32_t i = 0; i < layout->names.child_count; i++) {
        const char *name = layout->names.children[i].name;
        struct weir_field *field = (struct weir_field *)(uintptr_t)weir_type_child(ret_type, name,
                                                                                   strlen(name));
        if (field)
            field->name = layout->wanted.children[i].name;
    }
    return WEIR_OK;
}

weir_status layout_parquet(struct weir_arena *arena, const struct weir_table_config *table,
                           const struct weir_type *columns, const struct weir_type *file,
                           struct weir_layout *ret_layout, struct weir_error *reterr)
{
    struct weir_layout layout = {0};
    struct weir_type *found;
    uint32_t count = columns->child_count;
    WEIR_TRY(weir_type_copy(arena, columns, &layout.wanted, reterr));
    bare(&layout.wanted);
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *layout.casts, &layout.casts, reterr));
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *layout.units, &layout.units, reterr));
    for (uint32_t i = 0; i < count; i++) {
        const struct weir_field *column = &columns->children[i];
        const struct weir_field *has = file_column(table, columns, column, file);
        if (has)
            WEIR_TRY(choose_cast(arena, table, column, &has->type, &layout, i, reterr));
    }
    WEIR_TRY(weir_type_copy(arena, &layout.wanted, &layout.names, reterr));
    for (uint32_t i = 0; i < count; i++) {
        const struct weir_field *has = file_column(table, columns, &columns->children[i], file);
        if (has)
            layout.names.children[i].name = has->name;
    }
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *found, &found, reterr));
    WEIR_TRY(rename_columns(arena, file, &layout, found, reterr));
    layout.unknown = decode_unknown(columns, found);
    decode_loosen(found);
    layout.found = found;
    *ret_layout = layout;
    return WEIR_OK;
}

/* ---- rows that do not fit ---- */

struct checking {
    struct weir_arena *arena;
    uint8_t *reasons; /* by row; WEIR_REASON_COUNT: it fits */
    const char **messages;
    uint32_t row_count, bad;
};

static void refuse_row(struct checking *checking, uint32_t row, enum weir_reason reason,
                       const char *message)
{
    if (checking->reasons[row] != WEIR_REASON_COUNT)
        return;
    checking->reasons[row] = (uint8_t)reason;
    checking->messages[row] = message;
    checking->bad++;
}

/* rows[i]: the row that value i belongs to; NULL: row i. parent: values that are there at all. */
static weir_status check_required(struct checking *checking, const struct weir_vector *vector,
                                  const struct weir_field *field, const char *path,
                                  const uint32_t *rows, const struct weir_vector *parent,
                                  struct weir_error *reterr)
{
    char *message = NULL, *below;
    uint32_t *inner;
    for (uint32_t i = 0; field->required && vector->null_count && i < vector->count; i++) {
        if (weir_vector_valid(vector, i) || (parent && !weir_vector_valid(parent, i)))
            continue;
        if (!message)
            WEIR_TRY(weir_arena_print(checking->arena, &message, reterr, "%s: required, but null",
                                      path));
        refuse_row(checking, rows ? rows[i] : i, WEIR_REASON_REQUIRED, message);
    }
    if (!weir_type_is_nested(field->type.id))
        return WEIR_OK;
    if (field->type.id == WEIR_STRUCT) {
        for (uint32_t c = 0; c < field->type.child_count; c++) {
            const struct weir_field *child = &field->type.children[c];
            WEIR_TRY(weir_arena_print(checking->arena, &below, reterr, "%s.%s", path, child->name));
            WEIR_TRY(
                check_required(checking, &vector->children[c], child, below, rows, vector, reterr));
        }
        return WEIR_OK;
    }
    uint32_t total = vector->count ? (uint32_t)vector->offsets[vector->count] : 0;
    WEIR_TRY(weir_arena_alloc(checking->arena, (total + 1) * sizeof *inner, &inner, reterr));
    for (uint32_t i = 0; i < vector->count; i++)
        for (int32_t e = vector->offsets[i]; e < vector->offsets[i + 1]; e++)
            inner[e] = rows ? rows[i] : i;
    for (uint32_t c = 0; c < field->type.child_count; c++) {
        const struct weir_field *child = &field->type.children[c];
        WEIR_TRY(weir_arena_print(checking->arena, &below, reterr, "%s.%s", path, child->name));
        WEIR_TRY(check_required(checking, &vector->children[c], child, below, inner, NULL, reterr));
    }
    return WEIR_OK;
}

/* ---- casts ---- */

/* Microseconds of a number of units; nanoseconds are cut, towards the past. */
static bool micros_of(int unit, int64_t value, int64_t *ret_micros)
{
    if (unit == WEIR_TIME_NANOS) {
        *ret_micros = value / 1000 - (value % 1000 < 0);
        return true;
    }
    int64_t factor = unit == WEIR_TIME_SECONDS ? 1000000 : unit == WEIR_TIME_MILLIS ? 1000 : 1;
    return !__builtin_mul_overflow(value, factor, ret_micros);
}

static bool cast_value(enum layout_cast cast, int unit, const struct weir_vector *from, uint32_t i,
                       void *to)
{
    if (cast == CAST_FLOAT) {
        ((float *)to)[i] = (float)((const double *)from->values)[i];
        return true;
    }
    int64_t value = ((const int64_t *)from->values)[i];
    if (cast == CAST_UNIT)
        return micros_of(unit, value, (int64_t *)to + i);
    ((int32_t *)to)[i] = (int32_t)value;
    return value >= INT32_MIN && value <= INT32_MAX;
}

static weir_status cast_column(struct checking *checking, enum layout_cast cast, int unit,
                               const struct weir_field *column, struct weir_vector *vector,
                               struct weir_error *reterr)
{
    struct weir_vector made;
    char *message;
    if (cast == CAST_AS_UTC) {
        vector->type = &column->type;
        return WEIR_OK;
    }
    WEIR_TRY(weir_vector_make(checking->arena, &column->type, vector->count, 0, &made, reterr));
    WEIR_TRY(weir_arena_print(checking->arena, &message, reterr, "%s: does not fit in %s",
                              column->name, weir_type_name(column->type.id)));
    memset(made.values, 0, (size_t)vector->count * weir_type_width(&column->type));
    for (uint32_t i = 0; i < vector->count; i++)
        if (weir_vector_valid(vector, i) && !cast_value(cast, unit, vector, i, made.values))
            refuse_row(checking, i, WEIR_REASON_RANGE, message);
    made.count = vector->count;
    made.null_count = vector->null_count;
    made.validity = vector->validity;
    *vector = made;
    return WEIR_OK;
}

/* ---- decoding ---- */

static weir_status finish(const struct checking *checking, struct weir_batch *batch,
                          struct weir_decoded *ret_decoded, struct weir_error *reterr)
{
    uint32_t *source, good = 0, bad = 0, count = checking->row_count;
    struct weir_refusal *refusals;
    WEIR_TRY(weir_arena_alloc(checking->arena, (count + 1) * sizeof *source, &source, reterr));
    WEIR_TRY(weir_arena_alloc(checking->arena, (checking->bad + 1) * sizeof *refusals, &refusals,
                              reterr));
    for (uint32_t i = 0; i < count; i++) {
        if (checking->reasons[i] == WEIR_REASON_COUNT)
            source[good++] = i;
        else
            refusals[bad++] = (struct weir_refusal){i, (enum weir_reason)checking->reasons[i],
                                                    UINT32_MAX, checking->messages[i]};
    }
    *ret_decoded = (struct weir_decoded){
        .batch = *batch, .source = source, .refusals = refusals, .refusal_count = bad};
    struct weir_selection selection = {good, source};
    return bad ? weir_batch_gather(checking->arena, batch, &selection, &ret_decoded->batch, reterr)
               : WEIR_OK;
}

static weir_status decode_rows(struct parquet_rows *self, const struct decode_input *input,
                               struct weir_arena *arena, struct weir_decoded *ret_decoded,
                               struct weir_error *reterr)
{
    const struct decode_options *options = &self->decoder.options;
    const struct weir_layout *layout = input->run->layout;
    const struct weir_batch *rows = input->run->rows;
    if (layout->unknown && options->table->unknown_fields == WEIR_UNKNOWN_QUARANTINE)
        return decode_refuse_all(input, options->columns, layout->unknown, arena, ret_decoded,
                                 reterr);
    struct checking checking = {.arena = arena, .row_count = rows->count};
    uint32_t count = options->columns->child_count;
    struct weir_vector *columns;
    WEIR_TRY(weir_arena_alloc(arena, rows->count + 1, &checking.reasons, reterr));
    memset(checking.reasons, WEIR_REASON_COUNT, rows->count);
    WEIR_TRY(weir_arena_zero(arena, rows->count + 1, sizeof *checking.messages, &checking.messages,
                             reterr));
    WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *columns, &columns, reterr));
    memcpy(columns, rows->columns, count * sizeof *columns);
    for (uint32_t i = 0; i < count; i++) {
        const struct weir_field *column = &options->columns->children[i];
        if (layout->casts[i] != CAST_NONE)
            WEIR_TRY(cast_column(&checking, layout->casts[i], layout->units[i], column, &columns[i],
                                 reterr));
        WEIR_TRY(check_required(&checking, &columns[i], column, column->name, NULL, NULL, reterr));
        weir_vector_retype(&columns[i], &column->type);
    }
    struct weir_batch batch = {options->columns, rows->count, columns};
    return finish(&checking, &batch, ret_decoded, reterr);
}

static weir_status parquet_decode(struct decoder *decoder, const struct decode_input *input,
                                  struct weir_arena *arena, struct weir_decoded *ret_decoded,
                                  struct weir_error *reterr)
{
    struct parquet_rows *self = (struct parquet_rows *)decoder;
    if (input->run->rows)
        return decode_rows(self, input, arena, ret_decoded, reterr);
    if (!self->json)
        WEIR_TRY(decoder_json(&decoder->options, &self->json, reterr));
    return self->json->operations->decode(self->json, input, arena, ret_decoded, reterr);
}

static weir_status parquet_letter(struct decoder *decoder, const struct weir_run *run,
                                  uint32_t record, struct weir_arena *arena,
                                  struct weir_bytes *ret_raw, struct weir_error *reterr)
{
    const struct weir_layout *layout = run->layout;
    struct weir_batch row;
    char *text;
    if (!run->rows) {
        *ret_raw = run->records[record].value;
        return WEIR_OK;
    }
    WEIR_AUTO(weir_buffer) out = {.account = arena->account};
    struct weir_selection selection = {1, &record};
    WEIR_TRY(weir_batch_gather(arena, run->rows, &selection, &row, reterr));
    for (uint32_t i = 0; i < row.type->child_count; i++)
        if (layout->casts[i] == CAST_AS_UTC)
            row.columns[i].type = &decoder->options.columns->children[i].type;
    WEIR_TRY(weir_json_write_rows(&row, &out, reterr));
    size_t size = out.size - (out.size && out.data[out.size - 1] == '\n');
    WEIR_TRY(weir_arena_copy(arena, out.data, size, &text, reterr));
    *ret_raw = (struct weir_bytes){(const uint8_t *)text, size};
    return WEIR_OK;
}

/* ---- fields that no column takes ---- */

static weir_status parquet_marks(struct decoder *decoder, const struct decode_input *input,
                                 const struct weir_decoded *decoded, struct weir_arena *arena,
                                 const struct decode_mark **ret_marks, size_t *ret_count,
                                 struct weir_error *reterr)
{
    struct parquet_rows *self = (struct parquet_rows *)decoder;
    const char *unknown = input->run->rows ? input->run->layout->unknown : NULL;
    struct decode_mark *marks;
    if (!input->run->rows)
        return self->json->operations->marks(self->json, input, decoded, arena, ret_marks,
                                             ret_count, reterr);
    uint32_t count = decoder->options.table->unknown_fields == WEIR_UNKNOWN_EVOLVE && unknown
                         ? decoded->batch.count
                         : 0;
    WEIR_TRY(weir_arena_alloc(arena, (count + 1) * sizeof *marks, &marks, reterr));
    for (uint32_t i = 0; i < count; i++)
        marks[i] = (struct decode_mark){decoded->source[i], UINT32_MAX, unknown};
    *ret_marks = marks;
    *ret_count = count;
    return WEIR_OK;
}

static weir_status parquet_find(struct decoder *decoder, const struct decode_input *input,
                                struct weir_arena *arena, struct weir_error *reterr)
{
    struct parquet_rows *self = (struct parquet_rows *)decoder;
    if (input->run->rows)
        return decode_unite(&self->arena, &self->found, input->run->layout->found, reterr);
    self->json->found = true;
    return self->json->operations->find(self->json, input, arena, reterr);
}

static weir_status parquet_evolved(struct decoder *const *decoders, size_t count,
                                   struct weir_arena *arena, struct weir_type *ret_type,
                                   struct weir_error *reterr)
{
    struct weir_type type;
    *ret_type = (struct weir_type){.id = WEIR_STRUCT};
    for (size_t i = 0; i < count; i++) {
        const struct parquet_rows *self = (const struct parquet_rows *)decoders[i];
        WEIR_TRY(decode_unite(arena, ret_type, &self->found, reterr));
        if (!self->json || !self->json->found)
            continue;
        WEIR_TRY(self->json->operations->evolved(&self->json, 1, arena, &type, reterr));
        WEIR_TRY(decode_unite(arena, ret_type, &type, reterr));
    }
    return WEIR_OK;
}

static void parquet_free(struct decoder *decoder)
{
    struct parquet_rows *self = (struct parquet_rows *)decoder;
    decoder_free(self->json);
    weir_arena_done(&self->arena);
    weir_free(self);
}

static const struct decoder_operations parquet_operations = {.decode = parquet_decode,
                                                             .marks = parquet_marks,
                                                             .find = parquet_find,
                                                             .evolved = parquet_evolved,
                                                             .letter = parquet_letter,
                                                             .free = parquet_free};

weir_status decoder_parquet(const struct decode_options *options, struct decoder **ret_decoder,
                            struct weir_error *reterr)
{
    struct parquet_rows *self;
    WEIR_TRY(weir_alloc_zero(options->account, 1, sizeof *self, &self, reterr));
    self->decoder = (struct decoder){.operations = &parquet_operations, .options = *options};
    self->found.id = WEIR_STRUCT;
    weir_arena_init(&self->arena, options->account);
    *ret_decoder = &self->decoder;
    return WEIR_OK;
}
