/* A footer's bytes to structs: schema tree, row groups, where the chunks lie. Every number is
 * checked before it is used. */
#include "formats/parquet/reader_int.h"

#include "engine/base/limits.h"

struct parse {
    struct weir_arena *arena;
    struct thrift_reader thrift;
    struct file_meta meta;
    struct weir_error *reterr;
};

/* LogicalType's members that carry more than their name. */
enum { MEMBER_DECIMAL = 5, MEMBER_TIME = 7, MEMBER_TIMESTAMP = 8, MEMBER_INTEGER = 10 };

static void parse_time(struct thrift_reader *thrift, struct file_node *node)
{
    int16_t id, unit;
    thrift_enter_struct(thrift);
    while (thrift_next_field(thrift, &id)) {
        if (id == 1) {
            node->adjusted_to_utc = thrift_read_bool(thrift);
        } else if (id == 2 && thrift->type == THRIFT_STRUCT) {
            thrift_enter_struct(thrift);
            while (thrift_next_field(thrift, &unit)) {
                node->time_unit = unit;
                thrift_skip(thrift);
            }
        } else {
            thrift_skip(thrift);
        }
    }
}

static void parse_decimal(struct thrift_reader *thrift, struct file_node *node)
{
    int16_t id;
    thrift_enter_struct(thrift);
    while (thrift_next_field(thrift, &id)) {
        if (id == 1)
            node->scale = (int32_t)thrift_read_integer(thrift);
        else if (id == 2)
            node->precision = (int32_t)thrift_read_integer(thrift);
        else
            thrift_skip(thrift);
    }
}

static void parse_integer(struct thrift_reader *thrift, struct file_node *node)
{
    int16_t id;
    thrift_enter_struct(thrift);
    while (thrift_next_field(thrift, &id)) {
        if (id == 1)
            node->integer_width = (uint8_t)thrift_read_integer(thrift);
        else if (id == 2)
            node->integer_unsigned = !thrift_read_bool(thrift);
        else
            thrift_skip(thrift);
    }
}

static void parse_logical(struct thrift_reader *thrift, struct file_node *node)
{
    int16_t id;
    if (thrift->type != THRIFT_STRUCT) {
        thrift_skip(thrift);
        return;
    }
    thrift_enter_struct(thrift);
    while (thrift_next_field(thrift, &id)) {
        node->logical = id;
        if ((id == MEMBER_TIME || id == MEMBER_TIMESTAMP) && thrift->type == THRIFT_STRUCT)
            parse_time(thrift, node);
        else if (id == MEMBER_DECIMAL && thrift->type == THRIFT_STRUCT)
            parse_decimal(thrift, node);
        else if (id == MEMBER_INTEGER && thrift->type == THRIFT_STRUCT)
            parse_integer(thrift, node);
        else
            thrift_skip(thrift);
    }
}

static void parse_element(struct thrift_reader *thrift, struct file_node *node)
{
    int16_t id;
    *node = (struct file_node){.physical = -1, .converted = -1};
    thrift_enter_struct(thrift);
    while (thrift_next_field(thrift, &id)) {
        switch (id) {
        case 1: node->physical = (int32_t)thrift_read_integer(thrift); break;
        case 2: node->type_length = (int32_t)thrift_read_integer(thrift); break;
        case 3: node->repetition = (int32_t)thrift_read_integer(thrift); break;
        case 4: node->name = thrift_read_binary(thrift); break;
        case 5: node->child_count = (uint32_t)thrift_read_integer(thrift); break;
        case 6: node->converted = (int32_t)thrift_read_integer(thrift); break;
        case 7: node->scale = (int32_t)thrift_read_integer(thrift); break;
        case 8: node->precision = (int32_t)thrift_read_integer(thrift); break;
        case 9: node->field_id = (int32_t)thrift_read_integer(thrift); break;
        case 10: parse_logical(thrift, node); break;
        default: thrift_skip(thrift);
        }
    }
    if (node->child_count)
        node->physical = -1;
    else if (node->physical < 0)
        thrift_fault(thrift, "a leaf without a physical type");
    if (node->repetition < 0 || node->repetition > 2 || node->physical > PARQUET_FIXED)
        thrift_fault(thrift, "unknown repetition or physical type");
    if (node->physical == PARQUET_FIXED &&
        (node->type_length <= 0 || node->type_length > (1 << 24)))
        thrift_fault(thrift, "impossible length of a fixed type");
}

static weir_status parse_schema(struct parse *parse)
{
    struct thrift_reader *thrift = &parse->thrift;
    size_t count = thrift_read_list(thrift, THRIFT_STRUCT);
    if (count > 4 * (size_t)WEIR_SCHEMA_FIELDS_MAX)
        return weir_fail(parse->reterr, WEIR_UNSUPPORTED, "a schema of %zu nodes: at most %d",
                         count, 4 * WEIR_SCHEMA_FIELDS_MAX);
    WEIR_TRY(weir_arena_zero(parse->arena, count + 1, sizeof *parse->meta.nodes, &parse->meta.nodes,
                             parse->reterr));
    for (size_t i = 0; i < count && !thrift->failed; i++)
        parse_element(thrift, &parse->meta.nodes[i]);
    parse->meta.node_count = thrift->failed ? 0 : (uint32_t)count;
    return WEIR_OK;
}

static void parse_statistics(struct thrift_reader *thrift, struct file_chunk *chunk)
{
    int16_t id;
    struct weir_bytes old_lower = {0}, old_upper = {0};
    thrift_enter_struct(thrift);
    while (thrift_next_field(thrift, &id)) {
        switch (id) {
        case 1: old_upper = thrift_read_binary(thrift); break;
        case 2: old_lower = thrift_read_binary(thrift); break;
        case 3:
            chunk->null_count = (uint64_t)thrift_read_integer(thrift);
            chunk->has_null_count = true;
            break;
        case 5: chunk->upper = thrift_read_binary(thrift); break;
        case 6: chunk->lower = thrift_read_binary(thrift); break;
        default: thrift_skip(thrift);
        }
    }
    if (!chunk->lower.data && !chunk->upper.data) {
        chunk->lower = old_lower;
        chunk->upper = old_upper;
        chunk->old_bounds = true;
    }
}

static void parse_chunk_metadata(struct thrift_reader *thrift, struct file_chunk *chunk)
{
    int16_t id;
    thrift_enter_struct(thrift);
    while (thrift_next_field(thrift, &id)) {
        switch (id) {
        case 1: chunk->physical = (int32_t)thrift_read_integer(thrift); break;
        case 4: chunk->codec = (int32_t)thrift_read_integer(thrift); break;
        case 5: chunk->value_count = (uint64_t)thrift_read_integer(thrift); break;
        case 7: chunk->compressed_size = (uint64_t)thrift_read_integer(thrift); break;
        case 9: chunk->data_offset = (uint64_t)thrift_read_integer(thrift); break;
        case 11: chunk->dictionary_offset = (uint64_t)thrift_read_integer(thrift); break;
        case 12:
            if (thrift->type == THRIFT_STRUCT)
                parse_statistics(thrift, chunk);
            else
                thrift_skip(thrift);
            break;
        case 14: chunk->bloom_offset = (uint64_t)thrift_read_integer(thrift); break;
        case 15: chunk->bloom_length = (uint64_t)thrift_read_integer(thrift); break;
        default: thrift_skip(thrift);
        }
    }
}

static void parse_chunk(struct thrift_reader *thrift, struct file_chunk *chunk)
{
    int16_t id;
    bool met = false;
    thrift_enter_struct(thrift);
    while (thrift_next_field(thrift, &id)) {
        if (id == 3 && thrift->type == THRIFT_STRUCT) {
            parse_chunk_metadata(thrift, chunk);
            met = true;
        } else if (id == 4) {
            chunk->offset_index_offset = (uint64_t)thrift_read_integer(thrift);
        } else if (id == 5) {
            chunk->offset_index_length = (uint32_t)thrift_read_integer(thrift);
        } else if (id == 6) {
            chunk->column_index_offset = (uint64_t)thrift_read_integer(thrift);
        } else if (id == 7) {
            chunk->column_index_length = (uint32_t)thrift_read_integer(thrift);
        } else {
            if (id == 1)
                thrift_fault(thrift, "a column chunk in another file");
            thrift_skip(thrift);
        }
    }
    if (!met)
        thrift_fault(thrift, "a column chunk without metadata");
}

static weir_status parse_group(struct parse *parse, struct file_group *group)
{
    struct thrift_reader *thrift = &parse->thrift;
    int16_t id;
    thrift_enter_struct(thrift);
    while (thrift_next_field(thrift, &id)) {
        if (id == 1) {
            size_t count = thrift_read_list(thrift, THRIFT_STRUCT);
            if (!thrift->failed && count != parse->meta.leaf_count)
                thrift_fault(thrift, "a row group with another number of columns than the schema");
            if (thrift->failed)
                break;
            WEIR_TRY(weir_arena_zero(parse->arena, count + 1, sizeof *group->chunks, &group->chunks,
                                     parse->reterr));
            for (size_t i = 0; i < count; i++)
                parse_chunk(thrift, &group->chunks[i]);
        } else if (id == 3) {
            group->row_count = (uint64_t)thrift_read_integer(thrift);
        } else {
            thrift_skip(thrift);
        }
    }
    if (!group->chunks)
        thrift_fault(thrift, "a row group without columns");
    return WEIR_OK;
}

/* Makes the tree out of the flat list: node `at` and all below; returns where the next one lies, 0
 * if damaged. */
static uint32_t link_node(struct parse *parse, uint32_t at, unsigned depth, uint8_t definition,
                          uint8_t repeated)
{
    struct file_meta *meta = &parse->meta;
    if (at >= meta->node_count || depth > PARQUET_DEPTH_MAX)
        return 0;
    struct file_node *node = &meta->nodes[at];
    definition = (uint8_t)(definition + (at > 0 && node->repetition != 0));
    repeated = (uint8_t)(repeated + (at > 0 && node->repetition == 2));
    node->definition = definition;
    node->repeated = repeated;
    node->first_leaf = meta->leaf_count;
    meta->has_ids = meta->has_ids || node->field_id != 0;
    if (node->physical >= 0)
        meta->leaf_nodes[meta->leaf_count++] = at;
    uint32_t next = at + 1, last = 0;
    for (uint32_t i = 0; i < node->child_count; i++) {
        if (last)
            meta->nodes[last].next = next;
        else
            node->first_child = next;
        last = next;
        next = link_node(parse, next, depth + 1, definition, repeated);
        if (next == 0)
            return 0;
    }
    node->leaf_count = meta->leaf_count - node->first_leaf;
    return next;
}

static weir_status link_schema(struct parse *parse)
{
    struct file_meta *meta = &parse->meta;
    if (parse->thrift.failed)
        return WEIR_OK;
    WEIR_TRY(weir_arena_zero(parse->arena, meta->node_count + 1, sizeof *meta->leaf_nodes,
                             &meta->leaf_nodes, parse->reterr));
    if (link_node(parse, 0, 0, 0, 0) != meta->node_count)
        thrift_fault(&parse->thrift, "the schema is no tree");
    return WEIR_OK;
}

static weir_status parse_groups(struct parse *parse)
{
    struct thrift_reader *thrift = &parse->thrift;
    size_t count = thrift_read_list(thrift, THRIFT_STRUCT);
    if (!parse->meta.leaf_nodes)
        thrift_fault(thrift, "row groups before the schema");
    if (thrift->failed)
        return WEIR_OK;
    WEIR_TRY(weir_arena_zero(parse->arena, count + 1, sizeof *parse->meta.groups,
                             &parse->meta.groups, parse->reterr));
    for (size_t i = 0; i < count && !thrift->failed; i++)
        WEIR_TRY(parse_group(parse, &parse->meta.groups[i]));
    parse->meta.group_count = count;
    return WEIR_OK;
}

weir_status parquet_meta_parse(struct weir_arena *arena, const uint8_t *data, size_t size,
                               uint64_t offset, struct file_meta *ret_meta,
                               struct weir_error *reterr)
{
    struct parse parse = {.arena = arena, .reterr = reterr};
    struct thrift_reader *thrift = &parse.thrift;
    int16_t id;
    thrift_reader_init(thrift, data, size);
    thrift_enter_struct(thrift);
    while (thrift_next_field(thrift, &id)) {
        if (id == 2 && !parse.meta.nodes) {
            WEIR_TRY(parse_schema(&parse));
            WEIR_TRY(link_schema(&parse));
        } else if (id == 3) {
            parse.meta.row_count = (uint64_t)thrift_read_integer(thrift);
        } else if (id == 4 && !parse.meta.groups) {
            WEIR_TRY(parse_groups(&parse));
        } else {
            thrift_skip(thrift);
        }
    }
    uint64_t rows = 0;
    for (size_t i = 0; i < parse.meta.group_count && !thrift->failed; i++) {
        parse.meta.groups[i].first_row = rows;
        if (__builtin_add_overflow(rows, parse.meta.groups[i].row_count, &rows))
            thrift_fault(thrift, "row counts that no file has");
    }
    if (!parse.meta.leaf_nodes || (!thrift->failed && rows != parse.meta.row_count))
        thrift_fault(thrift, "no schema, or row groups that do not add up to the file's rows");
    if (thrift->failed)
        return weir_fail(reterr, WEIR_CORRUPT, "footer at byte %llu: %s",
                         (unsigned long long)(offset + thrift->at), thrift->fault);
    *ret_meta = parse.meta;
    return WEIR_OK;
}
