/* Records of CSV files. What is kept of a refused record begins with its file's header, so that it
 * can be read, and tried again, without the file. */
#include "scheduler/window/decode.h"

#include "formats/json/json.h"

#include <string.h>

struct csv_records {
    struct decoder decoder;
    struct weir_csv_decoder *csv;
    uint64_t number; /* of the layout it was made for; 0 = none */
};

void layout_dialect(const struct weir_source_config *source, struct weir_csv_dialect *ret_dialect)
{
    *ret_dialect = (struct weir_csv_dialect){.delimiter = source->csv.delimiter,
                                             .quote = source->csv.quote,
                                             .escape = source->csv.quote,
                                             .newline = '\n',
                                             .header = source->csv.header,
                                             .null_text = source->csv.null_text,
                                             .column_count = 2}; /* empty lines are no records */
}

/* ---- layouts ---- */

static weir_status find_fields(const struct weir_table_config *table,
                               const struct weir_type *columns, const char **names, uint32_t count,
                               struct weir_layout *layout, struct weir_error *reterr)
{
    for (uint32_t i = 0; i < columns->child_count; i++)
        layout->fields[i] = WEIR_CSV_NO_FIELD;
    for (uint32_t i = 0; i < 2 * count; i++) { /* names, then other names of what is left */
        uint32_t n = i % count;
        const char *name = names[n];
        const struct weir_field *field = weir_type_child(columns, name, strlen(name));
        if (i < count ? !field : field != NULL)
            continue;
        if (i >= count)
            field = decode_aliased(table, columns, name);
        if (!field ||
            (i >= count && layout->fields[field - columns->children] != WEIR_CSV_NO_FIELD)) {
            layout->unknown = layout->unknown ? layout->unknown : name;
            continue;
        }
        size_t column = (size_t)(field - columns->children);
        if (layout->fields[column] != WEIR_CSV_NO_FIELD) {
            weir_status status = weir_fail(reterr, WEIR_DECISION,
                                           "column %s is in the header twice, as fields %u and %u",
                                           name, layout->fields[column] + 1, n + 1);
            weir_error_hint(reterr, "%s: mend the file's header; nothing of the file was landed",
                            table->name);
            return status;
        }
        layout->fields[column] = n;
    }
    return WEIR_OK;
}

weir_status layout_csv(struct weir_arena *arena, const struct weir_table_config *table,
                       const struct weir_type *columns, struct weir_bytes header,
                       struct weir_layout *ret_layout, struct weir_error *reterr)
{
    struct weir_layout layout = {0};
    const char **names;
    uint32_t count;
    char *copy;
    layout_dialect(table->source, &layout.dialect);
    WEIR_TRY(weir_arena_alloc(arena, (columns->child_count + 1) * sizeof *layout.fields,
                              &layout.fields, reterr));
    if (!header.data) {
        layout.dialect.column_count = columns->child_count;
        for (uint32_t i = 0; i < columns->child_count; i++)
            layout.fields[i] = i;
        *ret_layout = layout;
        return WEIR_OK;
    }
    WEIR_TRY(weir_csv_names(arena, &layout.dialect, header, &names, &count, reterr));
    WEIR_TRY(weir_arena_copy(arena, header.data, header.size, &copy, reterr));
    WEIR_TRY(find_fields(table, columns, names, count, &layout, reterr));
    layout.header = (struct weir_bytes){(const uint8_t *)copy, header.size};
    layout.dialect.column_count = count;
    *ret_layout = layout;
    return WEIR_OK;
}

/* ---- decoding ---- */

static weir_status csv_with(struct csv_records *self, const struct weir_layout *layout,
                            const struct decode_input *input, struct weir_arena *arena,
                            struct weir_decoded *ret_decoded, struct weir_error *reterr)
{
    const struct decode_options *options = &self->decoder.options;
    if (layout->unknown && options->table->unknown_fields == WEIR_UNKNOWN_QUARANTINE)
        return decode_refuse_all(input, options->columns, layout->unknown, arena, ret_decoded,
                                 reterr);
    if (!self->csv || self->number != layout->number || layout->number == 0) {
        weir_csv_decoder_free(self->csv);
        self->csv = NULL;
        self->number = layout->number;
        WEIR_TRY(weir_csv_decoder_new(options->account, options->columns, layout->fields,
                                      &layout->dialect, &self->csv, reterr));
    }
    return weir_csv_decode(self->csv, input->raw, input->count, arena, ret_decoded, reterr);
}

/* A record kept in quarantine: its file's header, a line end, the record. */
static weir_status decode_kept(struct csv_records *self, const struct decode_input *input,
                               struct weir_arena *arena, struct weir_decoded *ret_decoded,
                               struct weir_error *reterr)
{
    const struct decode_options *options = &self->decoder.options;
    struct weir_bytes header = {0}, record = input->count ? input->raw[0] : header;
    struct weir_csv_dialect dialect;
    struct weir_layout layout;
    size_t used = 0;
    if (input->count > 1)
        return weir_fail(reterr, WEIR_INTERNAL, "several records of CSV of no file");
    layout_dialect(options->table->source, &dialect);
    if (dialect.header && input->count) {
        if (weir_csv_split(&dialect, record.data, record.size, false, &header, 1, &used) == 0)
            header = (struct weir_bytes){(const uint8_t *)"", 0};
        record = (struct weir_bytes){record.data + used, record.size - used};
    }
    WEIR_TRY(layout_csv(arena, options->table, options->columns, header, &layout, reterr));
    struct decode_input one = {input->run, &record, input->record, input->count};
    return csv_with(self, &layout, &one, arena, ret_decoded, reterr);
}

static weir_status csv_decode(struct decoder *decoder, const struct decode_input *input,
                              struct weir_arena *arena, struct weir_decoded *ret_decoded,
                              struct weir_error *reterr)
{
    struct csv_records *self = (struct csv_records *)decoder;
    const struct weir_layout *layout = input->run->layout;
    return layout ? csv_with(self, layout, input, arena, ret_decoded, reterr)
                  : decode_kept(self, input, arena, ret_decoded, reterr);
}

static weir_status csv_letter(struct decoder *decoder, const struct weir_run *run, uint32_t record,
                              struct weir_arena *arena, struct weir_bytes *ret_raw,
                              struct weir_error *reterr)
{
    struct weir_bytes raw = run->records[record].value;
    const struct weir_layout *layout = run->layout;
    char *text;
    if (!layout || !layout->header.data) {
        *ret_raw = raw;
        return WEIR_OK;
    }
    size_t head = layout->header.size;
    WEIR_TRY(weir_arena_alloc(arena, head + raw.size + 2, &text, reterr));
    memcpy(text, layout->header.data, head);
    text[head] = '\n';
    if (raw.size)
        memcpy(text + head + 1, raw.data, raw.size);
    *ret_raw = (struct weir_bytes){(const uint8_t *)text, head + 1 + raw.size};
    return WEIR_OK;
}

static void csv_free(struct decoder *decoder)
{
    weir_csv_decoder_free(((struct csv_records *)decoder)->csv);
    weir_free(decoder);
}

static const struct decoder_operations csv_operations = {
    .decode = csv_decode, .letter = csv_letter, .free = csv_free};

/* What no CSV can fill is told before any file is looked at. */
static weir_status csv_check(const struct decode_options *options, struct weir_error *reterr)
{
    const struct weir_table_config *table = options->table;
    struct weir_csv_decoder *trial;
    struct weir_csv_dialect dialect;
    if (table->unknown_fields == WEIR_UNKNOWN_EVOLVE)
        return weir_fail(reterr, WEIR_USAGE,
                         "%s: unknown_fields: evolve: fields of CSV have no types to make "
                         "columns of",
                         table->name);
    for (size_t i = 0; i < table->column_config_count; i++)
        if (table->column_configs[i].unit)
            return weir_fail(reterr, WEIR_USAGE, "%s: column %s: unit is not for CSV", table->name,
                             table->column_configs[i].path);
    layout_dialect(table->source, &dialect);
    dialect.column_count = options->columns->child_count;
    weir_status status = weir_csv_decoder_new(options->account, options->columns, NULL, &dialect,
                                              &trial, reterr);
    if (status != WEIR_OK)
        weir_error_prefix(reterr, "%s", table->name);
    else
        weir_csv_decoder_free(trial);
    return status;
}

weir_status decoder_csv(const struct decode_options *options, struct decoder **ret_decoder,
                        struct weir_error *reterr)
{
    struct csv_records *self;
    WEIR_TRY(csv_check(options, reterr));
    WEIR_TRY(weir_alloc_zero(options->account, 1, sizeof *self, &self, reterr));
    self->decoder = (struct decoder){.operations = &csv_operations, .options = *options};
    *ret_decoder = &self->decoder;
    return WEIR_OK;
}
