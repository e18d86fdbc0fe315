/* What need not be read: row groups by their statistics and bloom filters, pages by the column
 * index. A predicate is a licence to skip, so whatever is not understood is read.
 *
 * NaN lies outside of all bounds, yet is greater than everything in SQL: an upper bound of floats
 * tells nothing about `>`. */
#include "formats/parquet/scan_int.h"

#include <string.h>

#define BLOOM_MAX    (128u << 20) /* bytes of a filter that is read */
#define BLOOM_HEADER 256          /* its header is some twenty bytes */

/* ---- values to compare
 * --------------------------------------------------------------------------------------- */

enum cell_kind { CELL_NONE, CELL_NUMBER, CELL_REAL, CELL_BYTES };
struct cell {
    enum cell_kind kind;
    weir_int128 number;
    double real;
    struct weir_bytes bytes;
};

static struct cell cell_of(const struct weir_type *type, const void *value, size_t size)
{
    struct cell cell = {.kind = CELL_NUMBER};
    int32_t narrow;
    int64_t wide;
    float single;
    switch (type->id) {
    case WEIR_BOOLEAN: cell.number = *(const uint8_t *)value & 1; break;
    case WEIR_INT:
    case WEIR_DATE:
        memcpy(&narrow, value, 4);
        cell.number = narrow;
        break;
    case WEIR_LONG:
    case WEIR_TIME:
    case WEIR_TIMESTAMP:
    case WEIR_TIMESTAMPTZ:
        memcpy(&wide, value, 8);
        cell.number = wide;
        break;
    case WEIR_DECIMAL: memcpy(&cell.number, value, 16); break;
    case WEIR_FLOAT:
        memcpy(&single, value, 4);
        cell.real = (double)single;
        cell.kind = CELL_REAL;
        break;
    case WEIR_DOUBLE:
        memcpy(&cell.real, value, 8);
        cell.kind = CELL_REAL;
        break;
    default: cell.kind = CELL_BYTES; cell.bytes = (struct weir_bytes){value, size};
    }
    if (cell.kind == CELL_REAL && cell.real != cell.real)
        cell.kind = CELL_NONE;
    return cell;
}

static struct cell vector_cell(const struct weir_vector *vector, uint32_t row)
{
    uint32_t width = weir_type_width(vector->type);
    const uint8_t *values = vector->values;
    if (!weir_vector_valid(vector, row))
        return (struct cell){0};
    if (vector->type->id == WEIR_BOOLEAN)
        return cell_of(vector->type, &(uint8_t){weir_bit_get(values, row)}, 1);
    if (width)
        return cell_of(vector->type, values + (size_t)row * width, width);
    return cell_of(vector->type, values + vector->offsets[row],
                   (size_t)(vector->offsets[row + 1] - vector->offsets[row]));
}

static int cell_compare(const struct cell *a, const struct cell *b)
{
    if (a->kind == CELL_NUMBER)
        return (a->number > b->number) - (a->number < b->number);
    if (a->kind == CELL_REAL)
        return (a->real > b->real) - (a->real < b->real);
    size_t size = a->bytes.size < b->bytes.size ? a->bytes.size : b->bytes.size;
    int order = size ? memcmp(a->bytes.data, b->bytes.data, size) : 0;
    return order ? order : (a->bytes.size > b->bytes.size) - (a->bytes.size < b->bytes.size);
}

int parquet_value_compare(const struct weir_vector *a, const struct weir_vector *b)
{
    struct cell x = vector_cell(a, 0), y = vector_cell(b, 0);
    return cell_compare(&x, &y);
}

/* A bound as it is stored; CELL_NONE if it cannot be used. `space` holds what it points to. */
static struct cell bound_cell(const struct file_node *node, const struct weir_type *type,
                              struct weir_bytes bytes, bool old, uint8_t space[16])
{
    enum parquet_conversion conversion = parquet_conversion_of(node, type);
    uint32_t stored = parquet_stored_width(node), width = weir_type_width(type);
    bool bytewise = node->physical == PARQUET_BYTE_ARRAY || node->physical == PARQUET_FIXED;
    weir_int128 decimal;
    if (!bytes.data || node->physical == PARQUET_INT96)
        return (struct cell){0};
    /* The old fields compared everything as signed: strings and unsigned numbers came out wrong. */
    if (old && (bytewise || conversion == CONVERT_UINT_LONG || conversion == CONVERT_ULONG_DECIMAL))
        return (struct cell){0};
    switch (conversion) {
    case CONVERT_IMPOSSIBLE: return (struct cell){0};
    case CONVERT_STRING:
    case CONVERT_BINARY: return cell_of(type, bytes.data, bytes.size);
    case CONVERT_BOOLEAN: return bytes.size == 1 ? cell_of(type, bytes.data, 1) : (struct cell){0};
    case CONVERT_BYTES_DECIMAL:
        return bytes.size && parquet_decimal_from_bytes(bytes, &decimal)
                   ? cell_of(type, &decimal, 16)
                   : (struct cell){0};
    default: break;
    }
    if (bytes.size != stored)
        return (struct cell){0};
    if (width > 16)
        return cell_of(type, bytes.data, bytes.size);
    if (!parquet_convert(conversion, bytes.data, stored, space, 1))
        return (struct cell){0};
    return cell_of(type, space, width);
}

/* ---- one predicate against bounds
 * ----------------------------------------------------------------------------- */

struct bounds {
    struct cell lower, upper;
    bool all_null, no_null;
};

static bool equal_excluded(const struct bounds *bounds, const struct cell *value)
{
    if (value->kind == CELL_NONE)
        return false;
    return (bounds->lower.kind == value->kind && cell_compare(value, &bounds->lower) < 0) ||
           (bounds->upper.kind == value->kind && cell_compare(value, &bounds->upper) > 0);
}

static bool in_excluded(const struct bounds *bounds, const struct weir_vector *values)
{
    for (uint32_t i = 0; i < values->count; i++) {
        struct cell value = vector_cell(values, i);
        if (!weir_vector_valid(values, i))
            continue; /* equal to nothing */
        if (!equal_excluded(bounds, &value))
            return false;
    }
    return true;
}

static bool predicate_excluded(const struct weir_predicate *predicate, const struct bounds *bounds)
{
    if (predicate->kind == WEIR_PREDICATE_IS_NULL)
        return bounds->no_null;
    if (bounds->all_null)
        return true;
    if (predicate->kind == WEIR_PREDICATE_NOT_NULL)
        return false;
    if (predicate->kind == WEIR_PREDICATE_IN)
        return in_excluded(bounds, &predicate->value);
    struct cell value = vector_cell(&predicate->value, 0);
    const struct cell *lower = &bounds->lower, *upper = &bounds->upper;
    bool has_lower = value.kind != CELL_NONE && lower->kind == value.kind,
         has_upper = value.kind != CELL_NONE && upper->kind == value.kind &&
                     value.kind != CELL_REAL;
    switch (predicate->kind) {
    case WEIR_PREDICATE_EQ: return equal_excluded(bounds, &value);
    case WEIR_PREDICATE_LT: return has_lower && cell_compare(lower, &value) >= 0;
    case WEIR_PREDICATE_LE: return has_lower && cell_compare(lower, &value) > 0;
    case WEIR_PREDICATE_GT: return has_upper && cell_compare(upper, &value) <= 0;
    case WEIR_PREDICATE_GE: return has_upper && cell_compare(upper, &value) < 0;
    default: return false;
    }
}

/* The plan that a predicate's path leads to; NULL if it leads to no leaf that predicates are
 * understood for. *ret_missing: the file lacks it, so that it is null everywhere. */
static const struct parquet_plan *predicate_plan(const struct weir_predicate *predicate,
                                                 const struct parquet_plan *columns,
                                                 const struct weir_type *wanted, bool *ret_missing)
{
    const struct parquet_plan *plans = columns, *plan = NULL;
    const struct weir_type *type = wanted;
    *ret_missing = false;
    if (predicate->path_size == 0 || predicate->path_size > 8)
        return NULL;
    for (uint32_t i = 0; i < predicate->path_size; i++) {
        if (type->id != WEIR_STRUCT || predicate->path[i] >= type->child_count)
            return NULL;
        plan = &plans[predicate->path[i]];
        if (plan->position)
            return NULL;
        type = plan->type;
        if (plan->leaf == PARQUET_NO_LEAF) {
            *ret_missing = true;
            return plan;
        }
        plans = plan->children;
    }
    return weir_type_is_nested(type->id) ? NULL : plan;
}

static const struct file_node *leaf_node(const struct weir_parquet_file *file, uint32_t leaf)
{
    return &file->meta.nodes[file->meta.leaf_nodes[leaf]];
}

static bool chunk_excluded(const struct weir_parquet_file *file, size_t group,
                           const struct weir_predicate *predicate, const struct parquet_plan *plan)
{
    const struct file_group *rows = &file->meta.groups[group];
    const struct file_chunk *chunk = &rows->chunks[plan->leaf];
    const struct file_node *node = leaf_node(file, plan->leaf);
    uint8_t low[16], high[16];
    struct bounds bounds = {
        .lower = bound_cell(node, plan->type, chunk->lower, chunk->old_bounds, low),
        .upper = bound_cell(node, plan->type, chunk->upper, chunk->old_bounds, high),
        .all_null = chunk->has_null_count && chunk->null_count == rows->row_count,
        .no_null = node->definition == 0 || (chunk->has_null_count && chunk->null_count == 0)};
    return predicate_excluded(predicate, &bounds);
}

bool parquet_group_excluded(const struct weir_parquet_file *file, size_t group,
                            const struct weir_parquet_read *read,
                            const struct parquet_plan *columns)
{
    for (size_t i = 0; i < read->predicate_count; i++) {
        const struct weir_predicate *predicate = &read->predicates[i];
        bool missing;
        const struct parquet_plan *plan = predicate_plan(predicate, columns, read->wanted,
                                                         &missing);
        if (missing && predicate->kind != WEIR_PREDICATE_IS_NULL)
            return true;
        if (plan && !missing && chunk_excluded(file, group, predicate, plan))
            return true;
    }
    return false;
}

weir_status parquet_statistics_make(const struct weir_parquet_file *file, size_t group,
                                    uint32_t column, const struct weir_type *type,
                                    struct weir_arena *arena,
                                    struct weir_parquet_statistics *ret_statistics,
                                    struct weir_error *reterr)
{
    const struct file_chunk *chunk = &file->meta.groups[group].chunks[column];
    const struct file_node *node = leaf_node(file, column);
    struct weir_parquet_statistics made = {.has_null_count = chunk->has_null_count,
                                           .null_count = chunk->null_count};
    for (int side = 0; side < 2; side++) {
        uint8_t space[16];
        struct cell cell = bound_cell(node, type, side ? chunk->upper : chunk->lower,
                                      chunk->old_bounds, space);
        struct weir_vector *vector = side ? &made.upper : &made.lower;
        if (cell.kind == CELL_NONE)
            continue;
        size_t size = cell.kind == CELL_BYTES ? cell.bytes.size : 0;
        WEIR_TRY(weir_vector_make(arena, type, 1, size, vector, reterr));
        vector->count = 1;
        if (cell.kind == CELL_BYTES) {
            if (size)
                memcpy(vector->values, cell.bytes.data, size);
            if (vector->offsets)
                vector->offsets[1] = (int32_t)size;
        } else if (type->id == WEIR_BOOLEAN) {
            *(uint8_t *)vector->values = (uint8_t)cell.number;
        } else {
            memcpy(vector->values, space, weir_type_width(type));
        }
        if (side)
            made.has_upper = true;
        else
            made.has_lower = true;
    }
    *ret_statistics = made;
    return WEIR_OK;
}

weir_status weir_parquet_file_statistics(const struct weir_parquet_file *file, size_t group,
                                         const uint32_t *path, uint32_t path_size,
                                         struct weir_arena *arena,
                                         struct weir_parquet_statistics *ret_statistics,
                                         struct weir_error *reterr)
{
    const struct file_node *node = &file->meta.nodes[0];
    const struct weir_type *type = &file->type;
    for (uint32_t i = 0; i < path_size; i++) {
        if (type->id != WEIR_STRUCT || path[i] >= type->child_count)
            return weir_fail(reterr, WEIR_USAGE, "the path leads to no primitive");
        uint32_t at = node->first_child;
        for (uint32_t k = 0; k < path[i]; k++)
            at = file->meta.nodes[at].next;
        node = &file->meta.nodes[at];
        type = &type->children[path[i]].type;
    }
    if (weir_type_is_nested(type->id))
        return weir_fail(reterr, WEIR_USAGE, "the path leads to no primitive");
    return parquet_statistics_make(file, group, node->first_leaf, type, arena, ret_statistics,
                                   reterr);
}

/* ---- bloom filters
 * ------------------------------------------------------------------------------------------ */

/* The bytes that a value was hashed as; false if that is not known. *ret_never: it cannot be
 * stored at all. */
static bool stored_bytes(const struct file_node *node, const struct weir_type *type,
                         const struct weir_vector *values, uint32_t row, uint8_t space[16],
                         struct weir_bytes *ret_bytes, bool *ret_never)
{
    struct cell cell = vector_cell(values, row);
    int32_t narrow = (int32_t)cell.number;
    int64_t wide = (int64_t)cell.number;
    *ret_never = false;
    switch (parquet_conversion_of(node, type)) {
    case CONVERT_STRING:
    case CONVERT_BINARY: *ret_bytes = cell.bytes; return cell.kind == CELL_BYTES;
    case CONVERT_INT_LONG:
    case CONVERT_INT_DECIMAL:
        *ret_never = cell.number != narrow;
        memcpy(space, &narrow, 4);
        *ret_bytes = (struct weir_bytes){space, 4};
        return cell.kind == CELL_NUMBER;
    case CONVERT_LONG_DECIMAL:
        *ret_never = cell.number != wide;
        memcpy(space, &wide, 8);
        *ret_bytes = (struct weir_bytes){space, 8};
        return cell.kind == CELL_NUMBER;
    case CONVERT_NONE:
        if (cell.kind == CELL_BYTES) {
            *ret_bytes = cell.bytes;
            return true;
        }
        if (cell.kind != CELL_NUMBER) /* the zeros of floats are two */
            return false;
        if (node->physical == PARQUET_INT32)
            memcpy(space, &narrow, 4);
        else
            memcpy(space, &wide, 8);
        *ret_bytes = (struct weir_bytes){space, node->physical == PARQUET_INT32 ? 4 : 8};
        return node->physical == PARQUET_INT32 || node->physical == PARQUET_INT64;
    default: return false;
    }
}

static bool bloom_header(const uint8_t *data, size_t size, uint32_t *ret_size, size_t *ret_used)
{
    struct thrift_reader thrift;
    int16_t id, choices[3] = {0}, member;
    int64_t bytes = 0;
    thrift_reader_init(&thrift, data, size);
    thrift_enter_struct(&thrift);
    while (thrift_next_field(&thrift, &id)) {
        if (id == 1) {
            bytes = thrift_read_integer(&thrift);
        } else if (id >= 2 && id <= 4 && thrift.type == THRIFT_STRUCT) {
            thrift_enter_struct(&thrift);
            while (thrift_next_field(&thrift, &member)) {
                choices[id - 2] = member;
                thrift_skip(&thrift);
            }
        } else {
            thrift_skip(&thrift);
        }
    }
    *ret_size = (uint32_t)bytes;
    *ret_used = thrift.at;
    return !thrift.failed && bytes >= 32 && bytes <= BLOOM_MAX && bytes % 32 == 0 &&
           choices[0] == 1 && choices[1] == 1 && choices[2] == 1;
}

/* *ret_at = 0: no filter that can be used. */
static weir_status read_bloom(const struct weir_parquet_file *file, const struct file_chunk *chunk,
                              struct weir_buffer *out, size_t *ret_at, uint32_t *ret_size,
                              struct weir_error *reterr)
{
    uint64_t rest, size;
    *ret_at = 0;
    if (chunk->bloom_offset == 0 || chunk->bloom_offset >= file->source.size)
        return WEIR_OK;
    rest = file->source.size - chunk->bloom_offset;
    size = chunk->bloom_length && chunk->bloom_length <= BLOOM_MAX ? chunk->bloom_length
                                                                   : BLOOM_HEADER;
    size = size < rest ? size : rest;
    WEIR_TRY(parquet_read_exactly(&file->source, chunk->bloom_offset, size, out, reterr));
    if (!bloom_header(out->data, out->size, ret_size, ret_at)) {
        *ret_at = 0;
        return WEIR_OK;
    }
    uint64_t whole = *ret_at + (uint64_t)*ret_size;
    if (whole <= out->size)
        return WEIR_OK;
    if (whole > rest) {
        *ret_at = 0;
        return WEIR_OK;
    }
    return parquet_read_exactly(&file->source, chunk->bloom_offset + out->size, whole - out->size,
                                out, reterr);
}

static weir_status bloom_excludes(struct weir_account *account,
                                  const struct weir_parquet_file *file, size_t group,
                                  const struct weir_predicate *predicate,
                                  const struct parquet_plan *plan, bool *ret_excluded,
                                  struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) filter = {.account = account};
    const struct file_node *node = leaf_node(file, plan->leaf);
    size_t at;
    uint32_t size = 0;
    WEIR_TRY(read_bloom(file, &file->meta.groups[group].chunks[plan->leaf], &filter, &at, &size,
                        reterr));
    if (at == 0)
        return WEIR_OK;
    for (uint32_t i = 0; i < predicate->value.count; i++) {
        uint8_t space[16];
        struct weir_bytes bytes;
        bool never;
        if (!weir_vector_valid(&predicate->value, i))
            continue;
        if (!stored_bytes(node, plan->type, &predicate->value, i, space, &bytes, &never))
            return WEIR_OK;
        if (!never &&
            parquet_bloom_has(filter.data + at, size,
                              parquet_bloom_hash(bytes.size ? bytes.data : space, bytes.size)))
            return WEIR_OK;
    }
    *ret_excluded = true;
    return WEIR_OK;
}

weir_status parquet_bloom_excluded(struct weir_account *account,
                                   const struct weir_parquet_file *file, size_t group,
                                   const struct weir_parquet_read *read,
                                   const struct parquet_plan *columns, bool *ret_excluded,
                                   struct weir_error *reterr)
{
    *ret_excluded = false;
    for (size_t i = 0; i < read->predicate_count && !*ret_excluded; i++) {
        const struct weir_predicate *predicate = &read->predicates[i];
        bool missing;
        const struct parquet_plan *plan = predicate_plan(predicate, columns, read->wanted,
                                                         &missing);
        if (plan && !missing &&
            (predicate->kind == WEIR_PREDICATE_EQ || predicate->kind == WEIR_PREDICATE_IN))
            WEIR_TRY(bloom_excludes(account, file, group, predicate, plan, ret_excluded, reterr));
    }
    return WEIR_OK;
}

/* ---- pages
 * --------------------------------------------------------------------------------------------------
 */

struct page_bounds {
    bool null_page, has_null_count;
    uint64_t null_count;
    struct weir_bytes lower, upper;
};

static weir_status index_damaged(const struct thrift_reader *thrift, uint64_t offset,
                                 struct weir_error *reterr)
{
    return weir_fail(reterr, WEIR_CORRUPT, "page index at byte %llu: %s",
                     (unsigned long long)(offset + thrift->at),
                     thrift->fault ? thrift->fault : "does not fit its column chunk");
}

weir_status parquet_locations_read(const struct weir_parquet_file *file, size_t group,
                                   uint32_t column, struct weir_arena *arena,
                                   struct parquet_location **ret_locations, size_t *ret_count,
                                   struct weir_error *reterr)
{
    const struct file_chunk *chunk = &file->meta.groups[group].chunks[column];
    WEIR_AUTO(weir_buffer) bytes = {.account = arena->account};
    struct parquet_location *locations = NULL;
    struct thrift_reader thrift;
    size_t count = 0;
    int16_t id;
    *ret_count = 0;
    if (chunk->offset_index_offset == 0 || chunk->offset_index_length == 0)
        return WEIR_OK;
    WEIR_TRY(parquet_read_exactly(&file->source, chunk->offset_index_offset,
                                  chunk->offset_index_length, &bytes, reterr));
    thrift_reader_init(&thrift, bytes.data, bytes.size);
    thrift_enter_struct(&thrift);
    while (thrift_next_field(&thrift, &id)) {
        if (id != 1 || locations) {
            thrift_skip(&thrift);
            continue;
        }
        count = thrift_read_list(&thrift, THRIFT_STRUCT);
        WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *locations, &locations, reterr));
        for (size_t i = 0; i < count && !thrift.failed; i++) {
            thrift_enter_struct(&thrift);
            while (thrift_next_field(&thrift, &id)) {
                if (id == 1)
                    locations[i].offset = (uint64_t)thrift_read_integer(&thrift);
                else if (id == 2)
                    locations[i].size = (uint32_t)thrift_read_integer(&thrift);
                else if (id == 3)
                    locations[i].first_row = (uint64_t)thrift_read_integer(&thrift);
                else
                    thrift_skip(&thrift);
            }
        }
    }
    uint64_t rows = file->meta.groups[group].row_count;
    for (size_t i = 0; i < count && !thrift.failed; i++)
        if (i ? locations[i].first_row < locations[i - 1].first_row ||
                    locations[i].first_row > rows || locations[i].offset < locations[i - 1].offset
              : locations[i].first_row != 0)
            return index_damaged(&thrift, chunk->offset_index_offset, reterr);
    if (thrift.failed)
        return index_damaged(&thrift, chunk->offset_index_offset, reterr);
    *ret_locations = locations;
    *ret_count = count;
    return WEIR_OK;
}

static void parse_page_bounds(struct thrift_reader *thrift, struct page_bounds *pages, size_t count)
{
    int16_t id;
    thrift_enter_struct(thrift);
    while (thrift_next_field(thrift, &id)) {
        if (id != 1 && id != 2 && id != 3 && id != 5) {
            thrift_skip(thrift);
            continue;
        }
        size_t here = thrift_read_list(thrift, id == 1   ? THRIFT_TRUE
                                               : id == 5 ? THRIFT_I64
                                                         : THRIFT_BINARY);
        if (!thrift->failed && here != count)
            thrift_fault(thrift, "another number of pages than the offset index has");
        for (size_t i = 0; i < here && !thrift->failed; i++) {
            thrift->type = THRIFT_BINARY;
            if (id == 1)
                pages[i].null_page = thrift_read_bool_element(thrift);
            else if (id == 2)
                pages[i].lower = thrift_read_binary(thrift);
            else if (id == 3)
                pages[i].upper = thrift_read_binary(thrift);
            else
                pages[i].null_count = (uint64_t)thrift_read_i64(thrift);
            pages[i].has_null_count = pages[i].has_null_count || id == 5;
        }
    }
}

struct ranges {
    struct parquet_rows *rows;
    size_t count;
};

/* What is in both; ascending runs on either side. */
static weir_status intersect(struct weir_arena *arena, const struct ranges *a,
                             const struct ranges *b, struct ranges *ret_both,
                             struct weir_error *reterr)
{
    struct ranges both = {0};
    WEIR_TRY(
        weir_arena_zero(arena, a->count + b->count + 1, sizeof *both.rows, &both.rows, reterr));
    for (size_t i = 0, j = 0; i < a->count && j < b->count;) {
        uint64_t from = a->rows[i].from > b->rows[j].from ? a->rows[i].from : b->rows[j].from,
                 to = a->rows[i].to < b->rows[j].to ? a->rows[i].to : b->rows[j].to;
        if (from < to)
            both.rows[both.count++] = (struct parquet_rows){from, to};
        if (a->rows[i].to < b->rows[j].to)
            i++;
        else
            j++;
    }
    *ret_both = both;
    return WEIR_OK;
}

/* Rows of the pages in which the predicate may hold. *ret_known = false: the index tells nothing.
 */
static weir_status page_ranges(const struct weir_parquet_file *file, size_t group,
                               const struct weir_predicate *predicate,
                               const struct parquet_plan *plan, struct weir_arena *arena,
                               struct ranges *ret_ranges, bool *ret_known, uint64_t *skipped,
                               struct weir_error *reterr)
{
    const struct file_group *rows = &file->meta.groups[group];
    const struct file_chunk *chunk = &rows->chunks[plan->leaf];
    const struct file_node *node = leaf_node(file, plan->leaf);
    WEIR_AUTO(weir_buffer) bytes = {.account = arena->account};
    struct parquet_location *locations;
    struct page_bounds *pages;
    size_t count;
    *ret_known = false;
    if (chunk->column_index_offset == 0 || chunk->column_index_length == 0 || node->repeated)
        return WEIR_OK;
    WEIR_TRY(parquet_locations_read(file, group, plan->leaf, arena, &locations, &count, reterr));
    if (count == 0)
        return WEIR_OK;
    WEIR_TRY(parquet_read_exactly(&file->source, chunk->column_index_offset,
                                  chunk->column_index_length, &bytes, reterr));
    WEIR_TRY(weir_arena_zero(arena, count, sizeof *pages, &pages, reterr));
    struct thrift_reader thrift;
    thrift_reader_init(&thrift, bytes.data, bytes.size);
    parse_page_bounds(&thrift, pages, count);
    if (thrift.failed)
        return index_damaged(&thrift, chunk->column_index_offset, reterr);
    struct ranges made = {0};
    WEIR_TRY(weir_arena_zero(arena, count, sizeof *made.rows, &made.rows, reterr));
    for (size_t i = 0; i < count; i++) {
        uint8_t low[16], high[16];
        uint64_t from = locations[i].first_row,
                 to = i + 1 < count ? locations[i + 1].first_row : rows->row_count;
        struct bounds bounds = {.all_null = pages[i].null_page,
                                .no_null = node->definition == 0 ||
                                           (pages[i].has_null_count && pages[i].null_count == 0)};
        if (!pages[i].null_page) {
            bounds.lower = bound_cell(node, plan->type, pages[i].lower, false, low);
            bounds.upper = bound_cell(node, plan->type, pages[i].upper, false, high);
        }
        if (predicate_excluded(predicate, &bounds)) {
            ++*skipped;
            continue;
        }
        if (made.count && made.rows[made.count - 1].to == from)
            made.rows[made.count - 1].to = to;
        else if (from < to)
            made.rows[made.count++] = (struct parquet_rows){from, to};
    }
    *ret_ranges = made;
    *ret_known = true;
    return WEIR_OK;
}

weir_status parquet_rows_wanted(const struct weir_parquet_file *file, size_t group,
                                const struct weir_parquet_read *read,
                                const struct parquet_plan *columns, struct weir_arena *arena,
                                struct parquet_rows **ret_ranges, size_t *ret_count,
                                uint64_t *ret_pages_skipped, struct weir_error *reterr)
{
    struct ranges kept = {.count = 1};
    uint64_t skipped = 0;
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *kept.rows, &kept.rows, reterr));
    kept.rows[0].to = file->meta.groups[group].row_count;
    kept.count = kept.rows[0].to > 0;
    for (size_t i = 0; i < read->predicate_count; i++) {
        const struct weir_predicate *predicate = &read->predicates[i];
        struct ranges ranges;
        bool missing, known = false;
        const struct parquet_plan *plan = predicate_plan(predicate, columns, read->wanted,
                                                         &missing);
        if (plan && !missing)
            WEIR_TRY(page_ranges(file, group, predicate, plan, arena, &ranges, &known, &skipped,
                                 reterr));
        if (known)
            WEIR_TRY(intersect(arena, &kept, &ranges, &kept, reterr));
    }
    *ret_ranges = kept.rows;
    *ret_count = kept.count;
    *ret_pages_skipped = skipped;
    return WEIR_OK;
}
