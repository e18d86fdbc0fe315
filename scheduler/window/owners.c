/* Owners of records: the tenant's column of what was decoded; and of what was refused, the same
 * column decoded by itself, so that a record with a fault elsewhere is in its owner's quarantine.
 */
#include "scheduler/window/owners.h"

#include "formats/json/json.h"

#include <string.h>

struct owners {
    const struct weir_tenancy *tenancy;
    uint32_t column;                /* of the decoded batch */
    struct weir_table_config table; /* the table's, but unknown fields are no fault */
    struct weir_field field;
    struct weir_type type;   /* that column alone */
    struct decoder *decoder; /* of it; NULL: refused records' owners cannot be told */
};

/* Of CSV without a header columns are told by their place, and Avro's by a schema that the registry
 * has: one column of these cannot be read alone. */
static bool reads_alone(const struct weir_source_config *source)
{
    if (strcmp(source->format, "csv") == 0)
        return source->csv.header;
    return !source->registry.url;
}

weir_status owners_new(const struct decode_options *options, const struct weir_tenancy *tenancy,
                       struct owners **ret_owners, struct weir_error *reterr)
{
    struct owners *owners;
    const struct weir_field *field = weir_type_child(options->columns, tenancy->column,
                                                     strlen(tenancy->column));
    if (!field || field->type.id != WEIR_STRING || !field->required)
        return weir_fail(reterr, WEIR_USAGE, "%s: no required string column %s",
                         options->table->name, tenancy->column);
    WEIR_TRY(weir_alloc_zero(options->account, 1, sizeof *owners, &owners, reterr));
    owners->tenancy = tenancy;
    owners->column = (uint32_t)(field - options->columns->children);
    owners->table = *options->table;
    owners->table.unknown_fields = WEIR_UNKNOWN_IGNORE;
    owners->field = *field;
    owners->type = (struct weir_type){
        .id = WEIR_STRUCT, .child_count = 1, .children = &owners->field};
    struct decode_options alone = {
        .account = options->account, .table = &owners->table, .columns = &owners->type};
    weir_status status = reads_alone(options->table->source)
                             ? decoder_new(&alone, &owners->decoder, reterr)
                             : WEIR_OK;
    if (status != WEIR_OK)
        owners_free(owners);
    else
        *ret_owners = owners;
    return status;
}

void owners_free(struct owners *owners)
{
    if (!owners)
        return;
    decoder_free(owners->decoder);
    weir_free(owners);
}

static int32_t tenant_of(const struct weir_tenancy *tenancy, const struct weir_vector *column,
                         uint32_t row)
{
    if (!weir_vector_valid(column, row))
        return OWNER_NONE;
    while (column->kind != WEIR_FLAT) {
        row = column->kind == WEIR_CONSTANT ? 0 : column->indices[row];
        if (column->kind == WEIR_CONSTANT)
            break;
        column = column->dictionary;
    }
    const char *text = (const char *)column->values + column->offsets[row];
    size_t size = (size_t)(column->offsets[row + 1] - column->offsets[row]), low = 0,
           high = tenancy->tenant_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const char *value = tenancy->tenants[middle].value;
        size_t value_size = strlen(value), least = size < value_size ? size : value_size;
        int order = memcmp(text, value, least);
        if (order == 0)
            order = (size > value_size) - (size < value_size);
        if (order == 0)
            return (int32_t)middle;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return OWNER_UNKNOWN;
}

static weir_status find_refused(struct owners *owners, struct decoder *decoder,
                                const struct decode_input *input, uint32_t index,
                                struct weir_arena *arena, int32_t *ret_owner,
                                struct weir_error *reterr)
{
    struct weir_bytes raw = input->raw[index];
    struct weir_decoded alone;
    uint32_t record = 0;
    if (decoder->operations->letter && input->run->layout)
        WEIR_TRY(decoder->operations->letter(decoder, input->run, input->record[index], arena, &raw,
                                             reterr));
    struct weir_log_record one = {.value = raw};
    struct weir_run run = {.origin = input->run->origin, .records = &one, .count = 1};
    struct decode_input again = {&run, &raw, &record, 1};
    WEIR_TRY(owners->decoder->operations->decode(owners->decoder, &again, arena, &alone, reterr));
    if (alone.batch.count == 1)
        *ret_owner = tenant_of(owners->tenancy, &alone.batch.columns[0], 0);
    return WEIR_OK;
}

weir_status owners_find(struct owners *owners, struct decoder *decoder,
                        const struct decode_input *input, const struct weir_decoded *decoded,
                        struct weir_arena *arena, int32_t **ret_owners, struct weir_error *reterr)
{
    int32_t *owner;
    WEIR_TRY(weir_arena_alloc(arena, (input->run->count + 1) * sizeof *owner, &owner, reterr));
    for (size_t i = 0; i < input->run->count; i++)
        owner[i] = OWNER_NONE;
    for (uint32_t i = 0; i < decoded->batch.count; i++)
        owner[input->record[decoded->source[i]]] = tenant_of(
            owners->tenancy, &decoded->batch.columns[owners->column], i);
    for (uint32_t i = 0; owners->decoder && i < decoded->refusal_count; i++) {
        uint32_t index = decoded->refusals[i].record;
        WEIR_TRY(find_refused(owners, decoder, input, index, arena, &owner[input->record[index]],
                              reterr));
    }
    *ret_owners = owner;
    return WEIR_OK;
}
