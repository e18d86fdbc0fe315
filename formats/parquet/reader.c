/* The reader: footer, then one row group at a time decoded whole, then batches cut from it.
 *
 * A plan node stands for a node of the wanted type and knows where its levels come from. Rebuilding
 * goes down the plan: each node reads the level stream of one leaf below it and makes its rows, its
 * validity and its offsets from that. */
#include "formats/parquet/reader_int.h"

#include "engine/base/limits.h"

#include <string.h>

#define NO_LEAF    UINT32_MAX
#define FOOTER_END 8 /* length and magic */

struct plan {
    const struct weir_type *type;
    uint32_t leaf;      /* file leaf whose levels tell this node's rows; NO_LEAF: not in the file */
    uint8_t definition; /* level from which the node is not null */
    uint8_t repeated;   /* repeated nodes above it */
    uint8_t repeated_definition; /* level from which the innermost of them has an element */
    struct plan *children;
};

struct weir_parquet_reader {
    struct weir_account *account;
    struct weir_parquet_source source;
    const struct weir_type *wanted;
    struct weir_arena arena; /* metadata and plan */
    struct weir_buffer footer;
    struct file_meta meta;
    struct plan *columns;
    const struct weir_type **targets; /* by file leaf: what it becomes */
    bool *needed;                     /* by file leaf */
    struct decoded_leaf *leaves;      /* by file leaf */
    struct weir_decompressor *decompressor;
    size_t group;                  /* the next one to load */
    uint64_t group_rows, group_at; /* of the loaded one */
};

/* ---- plan
 * -------------------------------------------------------------------------------------------------------
 */

static struct file_node *file_child(struct weir_parquet_reader *self,
                                    const struct file_node *parent, const struct weir_field *field)
{
    uint32_t at = parent->first_child;
    for (uint32_t i = 0; i < parent->child_count; i++, at = self->meta.nodes[at].next) {
        struct file_node *node = &self->meta.nodes[at];
        bool named = node->name.size == strlen(field->name) &&
                     memcmp(node->name.data, field->name, node->name.size) == 0;
        /* A file without ids, foreign to Iceberg, is matched by names. */
        if (self->meta.has_ids ? node->field_id == field->id : named)
            return node;
    }
    return NULL;
}

static weir_status plan_missing(struct weir_parquet_reader *self, const struct weir_type *type,
                                struct plan *plan, struct weir_error *reterr)
{
    *plan = (struct plan){.type = type, .leaf = NO_LEAF};
    if (type->child_count == 0)
        return WEIR_OK;
    WEIR_TRY(weir_arena_zero(&self->arena, type->child_count, sizeof *plan->children,
                             &plan->children, reterr));
    for (uint32_t i = 0; i < type->child_count; i++)
        WEIR_TRY(plan_missing(self, &type->children[i].type, &plan->children[i], reterr));
    return WEIR_OK;
}

static weir_status plan_node(struct weir_parquet_reader *self, const struct weir_field *field,
                             const struct file_node *node, const struct file_node *repeated,
                             unsigned depth, struct plan *plan, struct weir_error *reterr);

static weir_status plan_struct(struct weir_parquet_reader *self, const struct weir_type *type,
                               const struct file_node *node, const struct file_node *repeated,
                               unsigned depth, struct plan *plans, struct weir_error *reterr)
{
    for (uint32_t i = 0; i < type->child_count; i++) {
        const struct file_node *child = file_child(self, node, &type->children[i]);
        if (child)
            WEIR_TRY(
                plan_node(self, &type->children[i], child, repeated, depth + 1, &plans[i], reterr));
        else
            WEIR_TRY(plan_missing(self, &type->children[i].type, &plans[i], reterr));
    }
    return WEIR_OK;
}

/* Lists and maps: node > one repeated group > element | key, value. */
static weir_status plan_repeated(struct weir_parquet_reader *self, const struct weir_field *field,
                                 const struct file_node *node, unsigned depth, struct plan *plan,
                                 struct weir_error *reterr)
{
    const struct weir_type *type = &field->type;
    const struct file_node *group = node->child_count == 1 ? &self->meta.nodes[node->first_child]
                                                           : NULL;
    if (!group || group->repetition != 2 || group->child_count != type->child_count)
        return weir_fail(reterr, WEIR_UNSUPPORTED, "column %s is no list or map of three levels",
                         field->name);
    uint32_t at = group->first_child;
    for (uint32_t i = 0; i < type->child_count; i++, at = self->meta.nodes[at].next)
        WEIR_TRY(plan_node(self, &type->children[i], &self->meta.nodes[at], group, depth + 2,
                           &plan->children[i], reterr));
    return WEIR_OK;
}

static weir_status plan_node(struct weir_parquet_reader *self, const struct weir_field *field,
                             const struct file_node *node, const struct file_node *repeated,
                             unsigned depth, struct plan *plan, struct weir_error *reterr)
{
    const struct weir_type *type = &field->type;
    bool nested = weir_type_is_nested(type->id);
    if (depth > PARQUET_DEPTH_MAX || node->repetition == 2 || nested != (node->physical < 0) ||
        node->leaf_count == 0)
        return weir_fail(reterr, WEIR_UNSUPPORTED, "column %s has another shape in the file",
                         field->name);
    *plan = (struct plan){.type = type,
                          .leaf = node->first_leaf,
                          .definition = node->definition,
                          .repeated = node->repeated,
                          .repeated_definition = repeated ? repeated->definition : 0};
    self->needed[node->first_leaf] = true;
    if (!nested) {
        if (!parquet_leaf_fits(node, type))
            return weir_fail(reterr, WEIR_UNSUPPORTED,
                             "column %s: its type in the file does not widen to %s", field->name,
                             weir_type_name(type->id));
        if (self->targets[node->first_leaf])
            return weir_fail(reterr, WEIR_UNSUPPORTED, "column %s is wanted twice", field->name);
        self->targets[node->first_leaf] = type;
        return WEIR_OK;
    }
    WEIR_TRY(weir_arena_zero(&self->arena, type->child_count + 1, sizeof *plan->children,
                             &plan->children, reterr));
    if (type->id == WEIR_STRUCT)
        return plan_struct(self, type, node, repeated, depth, plan->children, reterr);
    return plan_repeated(self, field, node, depth, plan, reterr);
}

/* ---- opening
 * ----------------------------------------------------------------------------------------------------
 */

static weir_status read_exactly(struct weir_parquet_reader *self, uint64_t offset, uint64_t size,
                                struct weir_buffer *out, struct weir_error *reterr)
{
    size_t before = out->size;
    WEIR_TRY(self->source.read(self->source.self, offset, size, out, reterr));
    if (out->size - before != size)
        return weir_fail(reterr, WEIR_IO, "asked for %llu bytes at %llu, got %zu",
                         (unsigned long long)size, (unsigned long long)offset, out->size - before);
    return WEIR_OK;
}

static weir_status read_footer(struct weir_parquet_reader *self, struct weir_error *reterr)
{
    uint64_t size = self->source.size;
    uint32_t length;
    if (size < 4 + FOOTER_END)
        return weir_fail(reterr, WEIR_CORRUPT, "%llu bytes are no Parquet file",
                         (unsigned long long)size);
    WEIR_TRY(read_exactly(self, size - FOOTER_END, FOOTER_END, &self->footer, reterr));
    if (memcmp(self->footer.data + 4, PARQUET_MAGIC, 4) != 0)
        return weir_fail(reterr, WEIR_CORRUPT, "byte %llu: no PAR1 at the end",
                         (unsigned long long)(size - 4));
    memcpy(&length, self->footer.data, 4);
    if (length > size - 4 - FOOTER_END)
        return weir_fail(reterr, WEIR_CORRUPT, "byte %llu: a footer of %u bytes in a file of %llu",
                         (unsigned long long)(size - FOOTER_END), length, (unsigned long long)size);
    weir_buffer_clear(&self->footer);
    WEIR_TRY(read_exactly(self, size - FOOTER_END - length, length, &self->footer, reterr));
    return parquet_meta_parse(&self->arena, self->footer.data, length, size - FOOTER_END - length,
                              &self->meta, reterr);
}

static weir_status reader_open(struct weir_parquet_reader *self, struct weir_error *reterr)
{
    WEIR_TRY(read_footer(self, reterr));
    size_t leaves = (size_t)self->meta.leaf_count + 1;
    WEIR_TRY(weir_arena_zero(&self->arena, leaves, sizeof *self->targets, &self->targets, reterr));
    WEIR_TRY(weir_arena_zero(&self->arena, leaves, sizeof *self->needed, &self->needed, reterr));
    WEIR_TRY(weir_arena_zero(&self->arena, leaves, sizeof *self->leaves, &self->leaves, reterr));
    WEIR_TRY(weir_arena_zero(&self->arena, self->wanted->child_count + 1, sizeof *self->columns,
                             &self->columns, reterr));
    WEIR_TRY(plan_struct(self, self->wanted, &self->meta.nodes[0], NULL, 0, self->columns, reterr));
    return weir_decompressor_new(self->account, &self->decompressor, reterr);
}

weir_status weir_parquet_reader_new(struct weir_account *account, struct weir_parquet_source source,
                                    const struct weir_type *wanted,
                                    struct weir_parquet_reader **ret_reader,
                                    struct weir_error *reterr)
{
    struct weir_parquet_reader *self;
    WEIR_TRY(weir_alloc_zero(account, 1, sizeof *self, &self, reterr));
    self->account = account;
    self->source = source;
    self->wanted = wanted;
    self->footer.account = account;
    weir_arena_init(&self->arena, account);
    weir_status status = reader_open(self, reterr);
    if (status != WEIR_OK)
        weir_parquet_reader_free(self);
    else
        *ret_reader = self;
    return status;
}

static void release_group(struct weir_parquet_reader *self)
{
    for (uint32_t i = 0; self->leaves && i < self->meta.leaf_count; i++)
        parquet_decoded_done(&self->leaves[i]);
    self->group_rows = self->group_at = 0;
}

void weir_parquet_reader_free(struct weir_parquet_reader *reader)
{
    if (!reader)
        return;
    release_group(reader);
    weir_decompressor_free(reader->decompressor);
    weir_buffer_done(&reader->footer);
    weir_arena_done(&reader->arena);
    weir_free(reader);
}

uint64_t weir_parquet_reader_rows(const struct weir_parquet_reader *reader)
{
    return reader->meta.row_count;
}

/* ---- row groups
 * -------------------------------------------------------------------------------------------------
 */

static weir_status load_leaf(struct weir_parquet_reader *self, const struct file_group *group,
                             uint32_t at, struct weir_buffer *bytes, struct weir_error *reterr)
{
    const struct file_chunk *chunk = &group->chunks[at];
    const struct file_node *node = &self->meta.nodes[self->meta.leaf_nodes[at]];
    struct decoded_leaf *leaf = &self->leaves[at];
    uint64_t start = chunk->dictionary_offset && chunk->dictionary_offset < chunk->data_offset
                         ? chunk->dictionary_offset
                         : chunk->data_offset;
    if (start > self->source.size || chunk->compressed_size > self->source.size - start)
        return weir_fail(reterr, WEIR_CORRUPT,
                         "a column chunk of %llu bytes at %llu, beyond the file's %llu",
                         (unsigned long long)chunk->compressed_size, (unsigned long long)start,
                         (unsigned long long)self->source.size);
    weir_buffer_clear(bytes);
    WEIR_TRY(read_exactly(self, start, chunk->compressed_size, bytes, reterr));
    struct leaf_target target = {node, self->targets[at]};
    WEIR_TRY(parquet_chunk_decode(self->account, self->decompressor, chunk, &target, bytes->data,
                                  bytes->size, start, leaf, reterr));
    uint64_t rows = leaf->level_count;
    if (node->repeated) {
        rows = 0;
        for (size_t i = 0; i < leaf->repetition.size; i++)
            rows += leaf->repetition.data[i] == 0;
        if (leaf->repetition.size && leaf->repetition.data[0] != 0)
            return weir_fail(reterr, WEIR_CORRUPT,
                             "chunk at byte %llu: begins in the middle of a row",
                             (unsigned long long)start);
    }
    if (rows != group->row_count)
        return weir_fail(reterr, WEIR_CORRUPT,
                         "chunk at byte %llu: %llu rows, its row group has %llu",
                         (unsigned long long)start, (unsigned long long)rows,
                         (unsigned long long)group->row_count);
    return WEIR_OK;
}

static weir_status load_group(struct weir_parquet_reader *self, struct weir_error *reterr)
{
    const struct file_group *group = &self->meta.groups[self->group++];
    WEIR_AUTO(weir_buffer) bytes = {.account = self->account};
    release_group(self);
    for (uint32_t i = 0; i < self->meta.leaf_count; i++) {
        if (!self->needed[i])
            continue;
        weir_status status = load_leaf(self, group, i, &bytes, reterr);
        if (status != WEIR_OK) {
            const struct file_node *node = &self->meta.nodes[self->meta.leaf_nodes[i]];
            weir_error_prefix(reterr, "row group %zu, column %u \"%.*s\"", self->group - 1, i,
                              (int)(node->name.size > 255 ? 255 : node->name.size),
                              node->name.data ? (const char *)node->name.data : "");
            return status;
        }
    }
    self->group_rows = group->row_count;
    return WEIR_OK;
}

/* ---- rebuilding
 * -------------------------------------------------------------------------------------------------
 */

struct rebuild {
    struct weir_parquet_reader *reader;
    struct weir_arena *arena;
    uint64_t *ends; /* by file leaf: the level behind the batch */
    struct weir_error *reterr;
};

static weir_status mismatch(const struct rebuild *rebuild)
{
    return weir_fail(rebuild->reterr, WEIR_CORRUPT,
                     "row group %zu: columns of one struct or list disagree about its rows",
                     rebuild->reader->group - 1);
}

/* The levels of the batch in one leaf. */
struct levels {
    const uint8_t *definition, *repetition; /* NULL: none */
    size_t count;
};

static struct levels levels_of(const struct rebuild *rebuild, uint32_t at)
{
    const struct decoded_leaf *leaf = &rebuild->reader->leaves[at];
    return (struct levels){leaf->definition.size ? leaf->definition.data + leaf->level_at : NULL,
                           leaf->repetition.size ? leaf->repetition.data + leaf->level_at : NULL,
                           (size_t)(rebuild->ends[at] - leaf->level_at)};
}

static inline bool begins_row(const struct plan *plan, const struct levels *levels, size_t at)
{
    return (!levels->repetition || levels->repetition[at] <= plan->repeated) &&
           (!levels->definition || levels->definition[at] >= plan->repeated_definition);
}

static weir_status vector_validity(const struct rebuild *rebuild, struct weir_vector *vector,
                                   bool ones)
{
    size_t size = ((size_t)vector->count + 511) / 512 * 64 + 64;
    WEIR_TRY(weir_arena_zero(rebuild->arena, size, 1, &vector->validity, rebuild->reterr));
    if (ones)
        memset(vector->validity, 0xff, ((size_t)vector->count + 7) / 8);
    return WEIR_OK;
}

/* Rows of the node and which of them are null. */
static weir_status node_rows(const struct rebuild *rebuild, const struct plan *plan,
                             const struct levels *levels, uint32_t expect,
                             struct weir_vector *vector)
{
    size_t rows = 0, nulls = 0;
    for (size_t i = 0; i < levels->count; i++) {
        if (!begins_row(plan, levels, i))
            continue;
        rows++;
        nulls += levels->definition && levels->definition[i] < plan->definition;
    }
    if (rows != expect)
        return mismatch(rebuild);
    vector->count = (uint32_t)rows;
    vector->null_count = (uint32_t)nulls;
    if (nulls == 0)
        return WEIR_OK;
    WEIR_TRY(vector_validity(rebuild, vector, false));
    size_t row = 0;
    for (size_t i = 0; i < levels->count; i++) {
        if (!begins_row(plan, levels, i))
            continue;
        if (levels->definition[i] >= plan->definition)
            weir_bit_set(vector->validity, row);
        row++;
    }
    return WEIR_OK;
}

static weir_status fill_strings(const struct rebuild *rebuild, struct decoded_leaf *leaf,
                                struct weir_vector *vector)
{
    const uint32_t *lengths = (const uint32_t *)(const void *)leaf->values.data + leaf->value_at;
    uint64_t total = 0, values = vector->count - vector->null_count;
    for (uint64_t i = 0; i < values; i++)
        total += lengths[i];
    if (total > WEIR_BATCH_BYTES_MAX)
        return weir_fail(rebuild->reterr, WEIR_NO_MEMORY,
                         "%llu bytes of strings in one batch: ask for fewer rows",
                         (unsigned long long)total);
    WEIR_TRY(weir_arena_alloc(rebuild->arena, ((size_t)vector->count + 1) * sizeof(int32_t) + 64,
                              &vector->offsets, rebuild->reterr));
    WEIR_TRY(
        weir_arena_alloc(rebuild->arena, (size_t)total + 64, &vector->values, rebuild->reterr));
    if (total)
        memcpy(vector->values, leaf->bytes.data + leaf->byte_at, (size_t)total);
    int32_t end = 0;
    vector->offsets[0] = 0;
    for (uint32_t row = 0, value = 0; row < vector->count; row++) {
        if (weir_vector_valid(vector, row))
            end += (int32_t)lengths[value++];
        vector->offsets[row + 1] = end;
    }
    leaf->byte_at += total;
    return WEIR_OK;
}

static weir_status fill_fixed(const struct rebuild *rebuild, const struct decoded_leaf *leaf,
                              struct weir_vector *vector)
{
    bool boolean = vector->type->id == WEIR_BOOLEAN;
    size_t width = boolean ? 1 : weir_type_width(vector->type),
           size = boolean ? ((size_t)vector->count + 511) / 512 * 64
                          : (size_t)vector->count * width;
    const uint8_t *values = leaf->values.data ? leaf->values.data + leaf->value_at * width : NULL;
    WEIR_TRY(weir_arena_zero(rebuild->arena, size + 64, 1, &vector->values, rebuild->reterr));
    uint8_t *to = vector->values;
    if (!boolean && vector->null_count == 0) {
        if (vector->count)
            memcpy(to, values, (size_t)vector->count * width);
        return WEIR_OK;
    }
    for (uint32_t row = 0; row < vector->count; row++) {
        if (!weir_vector_valid(vector, row))
            continue;
        if (!boolean)
            memcpy(to + (size_t)row * width, values, width);
        else if (*values)
            weir_bit_set(to, row);
        values += width;
    }
    return WEIR_OK;
}

static weir_status build_node(struct rebuild *rebuild, const struct plan *plan, uint32_t expect,
                              struct weir_vector *vector);

/* A node that the file lacks: `count` nulls. */
static weir_status build_missing(struct rebuild *rebuild, const struct plan *plan, uint32_t count,
                                 struct weir_vector *vector)
{
    size_t size = plan->type->id == WEIR_BOOLEAN ? ((size_t)count + 511) / 512 * 64
                                                 : (size_t)count * weir_type_width(plan->type);
    *vector = (struct weir_vector){.type = plan->type, .count = count, .null_count = count};
    WEIR_TRY(vector_validity(rebuild, vector, false));
    WEIR_TRY(weir_arena_zero(rebuild->arena, size + 64, 1, &vector->values, rebuild->reterr));
    bool list = plan->type->id == WEIR_LIST || plan->type->id == WEIR_MAP;
    if (list || plan->type->id == WEIR_STRING || plan->type->id == WEIR_BINARY)
        WEIR_TRY(weir_arena_zero(rebuild->arena, (size_t)count + 17, sizeof(int32_t),
                                 &vector->offsets, rebuild->reterr));
    if (plan->type->child_count)
        WEIR_TRY(weir_arena_zero(rebuild->arena, plan->type->child_count, sizeof *vector->children,
                                 &vector->children, rebuild->reterr));
    for (uint32_t i = 0; i < plan->type->child_count; i++)
        WEIR_TRY(
            build_missing(rebuild, &plan->children[i], list ? 0 : count, &vector->children[i]));
    return WEIR_OK;
}

/* Offsets of a list: elements begin at slots one repetition deeper that are defined one level
 * further. */
static weir_status list_offsets(struct rebuild *rebuild, const struct plan *plan,
                                const struct levels *levels, struct weir_vector *vector)
{
    WEIR_TRY(weir_arena_alloc(rebuild->arena, ((size_t)vector->count + 1) * sizeof(int32_t) + 64,
                              &vector->offsets, rebuild->reterr));
    size_t row = 0, elements = 0;
    vector->offsets[0] = 0;
    for (size_t i = 0; i < levels->count; i++) {
        if (begins_row(plan, levels, i))
            row++;
        /* A list always has definition and repetition levels: its repeated group gives one of each.
         */
        if (levels->repetition[i] <= plan->repeated + 1 &&
            levels->definition[i] >= plan->definition + 1) {
            if (row == 0)
                return mismatch(rebuild);
            elements++;
        }
        vector->offsets[row] = (int32_t)elements;
    }
    return elements > WEIR_LIST_ELEMENTS_MAX ? mismatch(rebuild) : WEIR_OK;
}

static weir_status build_node(struct rebuild *rebuild, const struct plan *plan, uint32_t expect,
                              struct weir_vector *vector)
{
    if (plan->leaf == NO_LEAF)
        return build_missing(rebuild, plan, expect, vector);
    struct levels levels = levels_of(rebuild, plan->leaf);
    *vector = (struct weir_vector){.type = plan->type};
    WEIR_TRY(node_rows(rebuild, plan, &levels, expect, vector));
    if (!weir_type_is_nested(plan->type->id)) {
        struct decoded_leaf *leaf = &rebuild->reader->leaves[plan->leaf];
        uint64_t values = vector->count - vector->null_count;
        if (values > leaf->value_count - leaf->value_at)
            return mismatch(rebuild);
        if (plan->type->id == WEIR_STRING || plan->type->id == WEIR_BINARY)
            WEIR_TRY(fill_strings(rebuild, leaf, vector));
        else
            WEIR_TRY(fill_fixed(rebuild, leaf, vector));
        leaf->value_at += values;
        return WEIR_OK;
    }
    uint32_t below = vector->count;
    if (plan->type->id != WEIR_STRUCT) {
        if (levels.count && (!levels.repetition || !levels.definition))
            return mismatch(rebuild);
        WEIR_TRY(list_offsets(rebuild, plan, &levels, vector));
        below = (uint32_t)vector->offsets[vector->count];
    }
    WEIR_TRY(weir_arena_zero(rebuild->arena, plan->type->child_count, sizeof *vector->children,
                             &vector->children, rebuild->reterr));
    for (uint32_t i = 0; i < plan->type->child_count; i++)
        WEIR_TRY(build_node(rebuild, &plan->children[i], below, &vector->children[i]));
    return WEIR_OK;
}

/* The level behind the next `rows` rows of a leaf. */
static uint64_t leaf_end(const struct decoded_leaf *leaf, uint64_t rows)
{
    if (leaf->repetition.size == 0)
        return leaf->level_at + rows;
    uint64_t at = leaf->level_at;
    for (uint64_t seen = 0; at < leaf->level_count; at++)
        if (leaf->repetition.data[at] == 0 && seen++ == rows)
            break;
    return at;
}

weir_status weir_parquet_reader_next(struct weir_parquet_reader *reader, uint32_t max_rows,
                                     struct weir_arena *arena, struct weir_batch *ret_batch,
                                     struct weir_error *reterr)
{
    while (reader->group_at == reader->group_rows && reader->group < reader->meta.group_count)
        WEIR_TRY(load_group(reader, reterr));
    uint64_t left = reader->group_rows - reader->group_at;
    struct weir_batch batch = {.type = reader->wanted,
                               .count = left < max_rows ? (uint32_t)left : max_rows};
    struct rebuild rebuild = {.reader = reader, .arena = arena, .reterr = reterr};
    WEIR_TRY(weir_arena_zero(arena, reader->wanted->child_count + 1, sizeof *batch.columns,
                             &batch.columns, reterr));
    WEIR_TRY(weir_arena_zero(arena, (size_t)reader->meta.leaf_count + 1, sizeof *rebuild.ends,
                             &rebuild.ends, reterr));
    for (uint32_t i = 0; i < reader->meta.leaf_count; i++)
        if (reader->needed[i])
            rebuild.ends[i] = leaf_end(&reader->leaves[i], batch.count);
    for (uint32_t i = 0; i < reader->wanted->child_count; i++)
        WEIR_TRY(build_node(&rebuild, &reader->columns[i], batch.count, &batch.columns[i]));
    for (uint32_t i = 0; i < reader->meta.leaf_count; i++)
        if (reader->needed[i])
            reader->leaves[i].level_at = rebuild.ends[i];
    reader->group_at += batch.count;
    *ret_batch = batch;
    return WEIR_OK;
}
