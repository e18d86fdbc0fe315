/* What the catalogs share: table names as folders, metadata documents in a store, the commit that
 * creates a table. */
#include "connectors/catalog/catalog_int.h"

#include "engine/base/limits.h"

#include <string.h>
#include <zlib.h>

/* One part of a name: it becomes a folder and a column of SQL; dots divide parts. */
static bool part_is_safe(const char *part, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)part[i] < 0x20 || part[i] == 0x7f || strchr("/\\?#%*:\"<>|", part[i]))
            return false;
    return size > 0 && size <= WEIR_NAME_SIZE_MAX;
}

weir_status catalog_name_split(const char *name, struct catalog_name *ret_name,
                               struct weir_error *reterr)
{
    size_t size = strlen(name), start = 0;
    const char *last = strrchr(name, '.');
    bool good = last && size < sizeof ret_name->space;
    for (size_t at = 0; good && at <= size; at++)
        if (at == size || name[at] == '.') {
            good = part_is_safe(name + start, at - start);
            start = at + 1;
        }
    if (!good)
        return weir_fail(reterr, WEIR_USAGE,
                         "table name \"%.300s\": wanted layer.table, without / \\ ? # %% * : \" < "
                         "> | and control characters",
                         name);
    *ret_name = (struct catalog_name){0};
    memcpy(ret_name->space, name, (size_t)(last - name));
    memcpy(ret_name->table, last + 1, strlen(last + 1));
    memcpy(ret_name->folder, name, size);
    for (char *dot = strchr(ret_name->folder, '.'); dot; dot = strchr(dot, '.'))
        *dot = '/';
    return WEIR_OK;
}

weir_status catalog_relative(const struct weir_object_store *store, const char *location,
                             const char **ret_name, struct weir_error *reterr)
{
    const char *path = location;
    size_t root = strlen(store->root_uri);
    if (store->root_uri[0] == '/' && strncmp(path, "file:", 5) == 0) {
        path += 5;
        while (path[0] == '/' && path[1] == '/')
            path++;
    }
    if (strncmp(path, store->root_uri, root) != 0 || path[root] != '/')
        return weir_fail(reterr, WEIR_UNSUPPORTED, "%.400s lies outside the warehouse %.400s",
                         location, store->root_uri);
    *ret_name = path + root + 1;
    return WEIR_OK;
}

static weir_status gunzip(const struct weir_buffer *packed, struct weir_buffer *out,
                          struct weir_error *reterr)
{
    z_stream stream = {.next_in = packed->data, .avail_in = (uInt)packed->size};
    if (inflateInit2(&stream, 15 + 16) != Z_OK)
        return weir_fail(reterr, WEIR_NO_MEMORY, "zlib did not start");
    weir_status status = WEIR_OK;
    int answer = Z_OK;
    while (answer == Z_OK) {
        WEIR_TRY_OUT(status, weir_buffer_reserve(out, 64 << 10, reterr));
        uInt room = (uInt)(out->capacity - out->size > (1u << 30) ? 1u << 30
                                                                  : out->capacity - out->size);
        stream.next_out = out->data + out->size;
        stream.avail_out = room;
        answer = inflate(&stream, Z_NO_FLUSH);
        out->size += room - stream.avail_out;
        if (out->size > WEIR_METADATA_SIZE_MAX)
            answer = Z_DATA_ERROR;
    }
    if (answer != Z_STREAM_END)
        status = weir_fail(reterr, WEIR_CORRUPT, "gzip: damaged, or larger than %u bytes",
                           WEIR_METADATA_SIZE_MAX);
out:
    inflateEnd(&stream);
    return status;
}

static bool ends_with(const char *text, const char *end)
{
    size_t text_size = strlen(text), end_size = strlen(end);
    return text_size >= end_size && strcmp(text + text_size - end_size, end) == 0;
}

weir_status catalog_read(struct weir_context *context, const struct weir_object_store *store,
                         const char *name, struct weir_metadata **ret_metadata,
                         struct weir_error *reterr)
{
    struct weir_buffer raw, plain;
    struct weir_object_info info;
    weir_buffer_init(&raw, &context->memory);
    weir_buffer_init(&plain, &context->memory);
    weir_status status;
    WEIR_TRY_OUT(status, store->operations->head(store->self, name, &info, reterr));
    if (info.size > WEIR_METADATA_SIZE_MAX) {
        status = weir_fail(reterr, WEIR_UNSUPPORTED, "table metadata of %llu bytes",
                           (unsigned long long)info.size);
        goto out;
    }
    WEIR_TRY_OUT(status,
                 store->operations->get(store->self, name, 0, UINT64_MAX, &raw, NULL, reterr));
    bool packed = ends_with(name, ".gz.metadata.json") || ends_with(name, ".json.gz");
    if (packed)
        WEIR_TRY_OUT(status, gunzip(&raw, &plain, reterr));
    const struct weir_buffer *text = packed ? &plain : &raw;
    status = weir_metadata_parse(&context->memory, text->data, text->size, ret_metadata, reterr);
out:
    if (status != WEIR_OK)
        weir_error_prefix(reterr, "%s", name);
    weir_buffer_done(&raw);
    weir_buffer_done(&plain);
    return status;
}

static weir_status copy_text(struct weir_context *context, const char *text, char **ret_copy,
                             struct weir_error *reterr)
{
    size_t size = strlen(text) + 1;
    WEIR_TRY(weir_alloc(&context->memory, size, ret_copy, reterr));
    memcpy(*ret_copy, text, size);
    return WEIR_OK;
}

weir_status catalog_table_new(struct weir_context *context, const char *name, const char *location,
                              const char *token, struct weir_metadata *metadata,
                              struct weir_table **ret_table, struct weir_error *reterr)
{
    struct weir_table *table;
    weir_status status = weir_alloc_zero(&context->memory, 1, sizeof *table, &table, reterr);
    if (status != WEIR_OK) {
        weir_metadata_free(metadata);
        return status;
    }
    table->metadata = metadata;
    snprintf(table->pointer_token, sizeof table->pointer_token, "%s", token);
    WEIR_TRY_OUT(status, copy_text(context, name, &table->name, reterr));
    WEIR_TRY_OUT(status, copy_text(context, location, &table->metadata_location, reterr));
    *ret_table = table;
    return WEIR_OK;
out:
    weir_table_free(table);
    return status;
}

static bool has_create(const struct weir_commit *commit)
{
    for (size_t i = 0; i < json_array_size(commit->requirements); i++) {
        const char *type = json_string_value(
            json_object_get(json_array_get(commit->requirements, i), "type"));
        if (type && strcmp(type, "assert-create") == 0)
            return true;
    }
    return false;
}

static bool has_action(const struct weir_commit *commit, const char *action)
{
    for (size_t i = 0; i < json_array_size(commit->updates); i++) {
        const char *one = json_string_value(
            json_object_get(json_array_get(commit->updates, i), "action"));
        if (one && strcmp(one, action) == 0)
            return true;
    }
    return false;
}

weir_status catalog_create_fill(struct weir_context *context, const struct weir_object_store *store,
                                const struct catalog_name *name, const struct weir_commit *commit,
                                struct weir_commit *whole, struct weir_error *reterr)
{
    if (!has_create(commit))
        WEIR_TRY(weir_commit_require(whole, json_pack("{s:s}", "type", "assert-create"), reterr));
    if (!has_action(commit, "assign-uuid")) {
        char uuid[37];
        weir_random_uuid(context, uuid);
        WEIR_TRY(weir_commit_update(
            whole, json_pack("{s:s, s:s}", "action", "assign-uuid", "uuid", uuid), reterr));
    }
    if (!has_action(commit, "set-location"))
        WEIR_TRY(weir_commit_update(whole,
                                    json_pack("{s:s, s:o}", "action", "set-location", "location",
                                              json_sprintf("%s/%s", store->root_uri, name->folder)),
                                    reterr));
    if (json_array_extend(whole->requirements, commit->requirements) != 0 ||
        json_array_extend(whole->updates, commit->updates) != 0)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a commit");
    return WEIR_OK;
}

weir_status catalog_create_metadata(struct weir_context *context,
                                    const struct weir_object_store *store,
                                    const struct catalog_name *name,
                                    const struct weir_commit *commit,
                                    struct weir_metadata **ret_metadata, struct weir_error *reterr)
{
    struct weir_commit whole;
    WEIR_TRY(weir_commit_init(&whole, reterr));
    weir_status status = catalog_create_fill(context, store, name, commit, &whole, reterr);
    if (status == WEIR_OK)
        status = weir_metadata_apply(&context->memory, NULL, NULL, &whole, weir_now_ms(context),
                                     ret_metadata, reterr);
    weir_commit_done(&whole);
    return status;
}
