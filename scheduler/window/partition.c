/* Rows by partition value; a table's Parquet settings. */
#include "scheduler/window/partition.h"

#include "engine/base/limits.h"
#include "scheduler/commit/state.h"

#include <stdlib.h>
#include <string.h>

static bool rows_equal(const struct weir_vector *values, size_t count, uint32_t a, uint32_t b)
{
    for (size_t i = 0; i < count; i++) {
        const struct weir_vector *v = &values[i];
        bool valid = weir_vector_valid(v, a);
        if (valid != weir_vector_valid(v, b))
            return false;
        if (!valid)
            continue;
        uint32_t width = weir_type_width(v->type);
        const uint8_t *bytes = v->values;
        if (v->type->id == WEIR_BOOLEAN) {
            if (weir_bit_get(bytes, a) != weir_bit_get(bytes, b))
                return false;
        } else if (width) {
            if (memcmp(bytes + (size_t)a * width, bytes + (size_t)b * width, width) != 0)
                return false;
        } else {
            int32_t size = v->offsets[a + 1] - v->offsets[a];
            if (size != v->offsets[b + 1] - v->offsets[b] ||
                memcmp(bytes + v->offsets[a], bytes + v->offsets[b], (size_t)size) != 0)
                return false;
        }
    }
    return true;
}

static weir_status name_group(struct weir_arena *arena, const struct weir_partition_spec *spec,
                              const struct weir_vector *values, uint32_t row,
                              struct partition_group *group, struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) folder = {.account = arena->account};
    WEIR_TRY(weir_arena_zero(arena, spec->field_count + 1, sizeof *group->values, &group->values,
                             reterr));
    for (size_t i = 0; i < spec->field_count; i++) {
        char *text;
        WEIR_TRY(weir_transform_path_text(arena, spec->fields[i].transform, &values[i], row, &text,
                                          reterr));
        WEIR_TRY(weir_buffer_print(&folder, reterr, "%s%s=%s", i ? "/" : "", spec->fields[i].name,
                                   text));
        if (weir_vector_valid(&values[i], row))
            WEIR_TRY(weir_value_binary(arena, &values[i], row, &group->values[i], reterr));
    }
    return weir_arena_copy(arena, folder.data, folder.size, &group->folder, reterr);
}

weir_status partition_rows(struct weir_arena *arena, const struct weir_shape *shape,
                           const struct weir_batch *batch, struct partition_group **ret_groups,
                           size_t *ret_count, struct weir_error *reterr)
{
    const struct weir_partition_spec *spec = shape->spec;
    struct partition_group *groups;
    size_t group_count = 0;
    uint32_t count = batch->count, *representative, *of_row;
    struct weir_vector *values;
    WEIR_TRY(weir_arena_zero(arena, spec->field_count + 1, sizeof *values, &values, reterr));
    for (size_t i = 0; i < spec->field_count; i++) {
        const struct weir_vector *source = weir_batch_column(batch, shape->partition_paths[i]);
        if (!source)
            return weir_fail(reterr, WEIR_INTERNAL, "partition source %s is not in the batch",
                             shape->partition_paths[i]);
        WEIR_TRY(
            weir_transform_apply(arena, spec->fields[i].transform, source, &values[i], reterr));
    }
    WEIR_TRY(weir_arena_alloc(arena, (WEIR_PARTITIONS_OPEN_MAX + 1) * sizeof *representative,
                              &representative, reterr));
    WEIR_TRY(weir_arena_alloc(arena, (count + 1) * sizeof *of_row, &of_row, reterr));
    WEIR_TRY(weir_arena_zero(arena, WEIR_PARTITIONS_OPEN_MAX, sizeof *groups, &groups, reterr));
    uint32_t last = 0;
    for (uint32_t row = 0; row < count; row++) {
        uint32_t g = last;
        if (group_count == 0 || !rows_equal(values, spec->field_count, representative[g], row))
            for (g = 0;
                 g < group_count && !rows_equal(values, spec->field_count, representative[g], row);
                 g++)
                ;
        if (g == group_count) {
            if (g == WEIR_PARTITIONS_OPEN_MAX)
                return weir_fail(reterr, WEIR_UNSUPPORTED,
                                 "more than %d partition values in one window",
                                 WEIR_PARTITIONS_OPEN_MAX);
            representative[g] = row;
            WEIR_TRY(name_group(arena, spec, values, row, &groups[g], reterr));
            WEIR_TRY(
                weir_arena_alloc(arena, (count + 1) * sizeof(uint32_t), &groups[g].rows, reterr));
            group_count++;
        }
        last = g;
        groups[g].rows[groups[g].count++] = row;
    }
    *ret_groups = groups;
    *ret_count = group_count;
    return WEIR_OK;
}

static void leaf_ids(const struct weir_type *type, int32_t *ids, size_t *count)
{
    for (uint32_t i = 0; i < type->child_count; i++) {
        if (type->children[i].type.child_count == 0)
            ids[(*count)++] = type->children[i].id;
        leaf_ids(&type->children[i].type, ids, count);
    }
}

static size_t leaf_total(const struct weir_type *type)
{
    size_t total = type->child_count == 0;
    for (uint32_t i = 0; i < type->child_count; i++)
        total += leaf_total(&type->children[i].type);
    return total;
}

/* Bounds of personal columns stay out of files and manifests unless the column is a search key
 * (bounds: true). */
weir_status partition_parquet_options(struct weir_arena *arena,
                                      const struct weir_table_config *table,
                                      const struct weir_shape *shape,
                                      struct weir_parquet_options *ret_options,
                                      struct weir_error *reterr)
{
    const struct weir_type *write = &shape->write;
    int32_t *bloom, *hidden;
    size_t bloom_count = 0, hidden_count = 0;
    WEIR_TRY(weir_arena_zero(arena, table->bloom_count + 1, sizeof *bloom, &bloom, reterr));
    WEIR_TRY(weir_arena_zero(arena, leaf_total(write) + 1, sizeof *hidden, &hidden, reterr));
    for (size_t i = 0; i < table->bloom_count; i++) {
        const struct weir_field *field = weir_type_by_path(write, table->bloom[i]);
        if (field)
            bloom[bloom_count++] = field->id;
    }
    for (size_t i = 0; i < table->column_config_count; i++) {
        const char *path = table->column_configs[i].path;
        const struct weir_field *field = weir_type_child(write, path, strlen(path));
        if (!field) /* a model's column may have a dot in its name */
            field = weir_type_by_path(write, path);
        if (!field || table->column_configs[i].bounds)
            continue;
        if (field->type.child_count == 0)
            hidden[hidden_count++] = field->id;
        else
            leaf_ids(&field->type, hidden, &hidden_count);
    }
    json_t *schema;
    WEIR_TRY(weir_schema_to_json(&shape->schema, &schema, reterr));
    char *text = weir_json_text(schema), *kept;
    json_decref(schema);
    if (!text)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a schema's text");
    weir_status status = weir_arena_copy(arena, text, strlen(text), &kept, reterr);
    free(text);
    WEIR_TRY(status);
    *ret_options = (struct weir_parquet_options){.codec = (enum weir_codec)table->codec,
                                                 .codec_level = table->codec_level,
                                                 .row_group_size = table->row_group_size,
                                                 .bloom_ids = bloom,
                                                 .bloom_count = bloom_count,
                                                 .no_bounds_ids = hidden,
                                                 .no_bounds_count = hidden_count,
                                                 .created_by = "weir version 0.1.0",
                                                 .iceberg_schema_json = kept};
    return WEIR_OK;
}
