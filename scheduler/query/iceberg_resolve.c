/* An Iceberg table at one snapshot: its document, which snapshot, which schema, where its objects
 * are. */
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "connectors/file/local.h"
#include "engine/base/limits.h"
#include "engine/base/text.h"
#include "scheduler/query/iceberg_int.h"

/* ---- locations ------------------------------------------------------------------------------ */

/* file:///a, file:/a and /a -> /a; s3a://, s3n:// -> s3://. Several slashes in a path are one. */
static weir_status normalize(struct weir_arena *arena, const char *location, char **ret_text,
                             struct weir_error *reterr)
{
    bool path = location[0] == '/' || strncmp(location, "file:", 5) == 0;
    char *text;
    if (strncmp(location, "s3a://", 6) == 0 || strncmp(location, "s3n://", 6) == 0)
        return weir_arena_print(arena, ret_text, reterr, "s3://%s", location + 6);
    if (strncmp(location, "file:", 5) == 0)
        location += strncmp(location, "file://localhost/", 17) == 0 ? 16 : 5;
    WEIR_TRY(weir_arena_copy(arena, location, strlen(location), &text, reterr));
    if (path) {
        size_t to = 0;
        for (size_t from = 0; text[from]; from++)
            if (text[from] != '/' || to == 0 || text[to - 1] != '/')
                text[to++] = text[from];
        text[to] = '\0';
    }
    *ret_text = text;
    return WEIR_OK;
}

weir_status iceberg_locate(const struct iceberg_source *source, const char *location,
                           struct weir_arena *arena, struct weir_object_store *ret_store,
                           const char **ret_name, struct weir_error *reterr)
{
    const struct weir_iceberg_options *options = &source->options;
    size_t root = strlen(options->store.root_uri);
    char *text;
    WEIR_TRY(normalize(arena, location, &text, reterr));
    if (strncmp(text, options->store.root_uri, root) == 0 && text[root] == '/') {
        *ret_store = options->store;
        *ret_name = text + root + 1;
        return WEIR_OK;
    }
    if (options->locate)
        return options->locate(options->locate_self, text, ret_store, ret_name, reterr);
    if (text[0] == '/' && source->disk.operations) {
        *ret_store = source->disk;
        *ret_name = text + 1;
        return WEIR_OK;
    }
    return weir_fail(reterr, WEIR_UNSUPPORTED, "%.500s lies outside of %.300s", location,
                     options->store.root_uri);
}

weir_status iceberg_get(const struct iceberg_source *source, const char *location, uint64_t offset,
                        uint64_t size, struct weir_buffer *out, struct weir_error *reterr)
{
    struct weir_object_store store;
    struct weir_arena arena;
    const char *name;
    weir_status status;
    weir_arena_init(&arena, source->account);
    WEIR_TRY_OUT(status, iceberg_locate(source, location, &arena, &store, &name, reterr));
    WEIR_TRY_OUT(status, store.operations->get(store.self, name, offset, size, out, NULL, reterr));
out:
    weir_arena_done(&arena);
    if (status != WEIR_OK)
        weir_error_prefix(reterr, "reading %.300s", location);
    return status;
}

weir_status iceberg_object_read(void *self, uint64_t offset, uint64_t size, struct weir_buffer *out,
                                struct weir_error *reterr)
{
    struct iceberg_object *object = self;
    return object->store.operations->get(object->store.self, object->name, offset, size, out, NULL,
                                         reterr);
}

/* ---- the document --------------------------------------------------------------------------- */

static weir_status gunzip(const struct weir_buffer *packed, struct weir_buffer *out,
                          struct weir_error *reterr)
{
    z_stream stream = {.next_in = packed->data, .avail_in = (uInt)packed->size};
    weir_status status = WEIR_OK;
    int answer = Z_OK;
    if (packed->size > WEIR_METADATA_SIZE_MAX || inflateInit2(&stream, 15 + 16) != Z_OK)
        return weir_fail(reterr, WEIR_UNSUPPORTED, "table metadata of %zu bytes", packed->size);
    while (status == WEIR_OK && answer == Z_OK) {
        status = weir_buffer_reserve(out, 1 << 16, reterr);
        if (status != WEIR_OK)
            break;
        stream.next_out = out->data + out->size;
        stream.avail_out = 1 << 16;
        answer = inflate(&stream, Z_NO_FLUSH);
        out->size += (1 << 16) - stream.avail_out;
        if (out->size > WEIR_METADATA_SIZE_MAX)
            answer = Z_DATA_ERROR;
    }
    inflateEnd(&stream);
    if (status == WEIR_OK && answer != Z_STREAM_END)
        return weir_fail(reterr, WEIR_CORRUPT, "table metadata: damaged or too large gzip");
    return status;
}

static weir_status load_document(struct iceberg_source *source, const char *location,
                                 struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) bytes = {.account = source->account};
    WEIR_AUTO(weir_buffer) plain = {.account = source->account};
    WEIR_TRY(iceberg_get(source, location, 0, UINT64_MAX, &bytes, reterr));
    bool packed = bytes.size > 2 && bytes.data[0] == 0x1f && bytes.data[1] == 0x8b;
    if (packed)
        WEIR_TRY(gunzip(&bytes, &plain, reterr));
    const struct weir_buffer *text = packed ? &plain : &bytes;
    weir_status status = weir_metadata_parse(source->account, text->data, text->size,
                                             &source->document, reterr);
    if (status != WEIR_OK)
        weir_error_prefix(reterr, "%.300s", location);
    return status;
}

static weir_status load(struct iceberg_source *source, const struct weir_iceberg_options *options,
                        struct weir_error *reterr)
{
    char *location;
    if (!options->metadata_location) {
        WEIR_TRY(options->catalog->operations->load(options->catalog->self, options->table,
                                                    &source->table, reterr));
        source->metadata = source->table->metadata;
        source->metadata_location = source->table->metadata_location;
        return WEIR_OK;
    }
    WEIR_TRY(weir_arena_copy(&source->arena, options->metadata_location,
                             strlen(options->metadata_location), &location, reterr));
    WEIR_TRY(load_document(source, location, reterr));
    source->metadata = source->document;
    source->metadata_location = location;
    return WEIR_OK;
}

/* ---- which snapshot ------------------------------------------------------------------------- */

static weir_status take_snapshot(struct iceberg_source *source, int64_t id,
                                 struct weir_error *reterr)
{
    if (!weir_metadata_snapshot(source->metadata, id, &source->snapshot))
        return weir_fail(reterr, WEIR_NOT_FOUND, "there is no snapshot %lld", (long long)id);
    source->has_snapshot = true;
    return WEIR_OK;
}

/* What main's head was: the log's last line not after that time. Without a log, the ancestors. */
static weir_status snapshot_as_of(struct iceberg_source *source, int64_t as_of_ms,
                                  struct weir_error *reterr)
{
    const json_t *log = json_object_get(weir_metadata_document(source->metadata), "snapshot-log");
    int64_t found = -1, head;
    bool any = false;
    for (size_t i = 0; i < json_array_size(log); i++) {
        const json_t *line = json_array_get(log, i), *at = json_object_get(line, "timestamp-ms"),
                     *id = json_object_get(line, "snapshot-id");
        if (!json_is_integer(at) || !json_is_integer(id) || json_integer_value(at) > as_of_ms)
            continue;
        found = json_integer_value(id);
        any = true;
    }
    if (json_array_size(log) == 0 && weir_metadata_ref(source->metadata, "main", &head)) {
        struct weir_snapshot at;
        size_t count, steps = 0;
        weir_metadata_snapshots(source->metadata, &count);
        while (!any && steps++ < count && weir_metadata_snapshot(source->metadata, head, &at)) {
            any = at.timestamp_ms <= as_of_ms;
            found = head;
            head = at.parent_id;
        }
    }
    if (any)
        return take_snapshot(source, found, reterr);
    char text[40];
    text[weir_print_timestamptz(text, as_of_ms * 1000)] = '\0';
    return weir_fail(reterr, WEIR_NOT_FOUND, "the table had no snapshot yet, or keeps none, of %s",
                     text);
}

static weir_status snapshot_of_ref(struct iceberg_source *source, const char *ref, bool *ret_branch,
                                   struct weir_error *reterr)
{
    const json_t *refs = json_object_get(weir_metadata_document(source->metadata), "refs");
    const char *type = json_string_value(json_object_get(json_object_get(refs, ref), "type"));
    int64_t id;
    *ret_branch = !type || strcmp(type, "tag") != 0;
    if (weir_metadata_ref(source->metadata, ref, &id))
        return take_snapshot(source, id, reterr);
    if (strcmp(ref, "main") == 0)
        return WEIR_OK; /* a table without a snapshot is empty */
    char names[300] = "";
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)refs, name, value)
    {
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", name);
    }
    weir_status status = weir_fail(reterr, WEIR_NOT_FOUND, "there is no tag or branch \"%.200s\"",
                                   ref);
    weir_error_hint(reterr, "the table has: %s", *names ? names : "main");
    return status;
}

/* Iceberg spec, "Reserved Field IDs". */
static weir_status add_file_column(struct iceberg_source *source, struct weir_error *reterr)
{
    struct weir_type *root = &source->schema.root;
    struct weir_field *fields;
    WEIR_TRY(
        weir_arena_zero(&source->arena, root->child_count + 1, sizeof *fields, &fields, reterr));
    if (root->child_count)
        memcpy(fields, root->children, root->child_count * sizeof *fields);
    fields[root->child_count++] = (struct weir_field){
        .id = ICEBERG_FILE_ID, .name = "_file", .required = true, .type = {.id = WEIR_STRING}};
    root->children = fields;
    return WEIR_OK;
}

static weir_status choose(struct iceberg_source *source, const struct weir_iceberg_options *options,
                          struct weir_error *reterr)
{
    bool branch = false;
    if (options->has_snapshot_id)
        WEIR_TRY(take_snapshot(source, options->snapshot_id, reterr));
    else if (options->has_as_of)
        WEIR_TRY(snapshot_as_of(source, options->as_of_ms, reterr));
    else
        WEIR_TRY(snapshot_of_ref(source, options->ref ? options->ref : "main", &branch, reterr));
    bool current = branch || !source->has_snapshot || options->current_schema;
    int32_t schema_id = current ? -1 : source->snapshot.schema_id;
    source->schema_json = weir_metadata_schema_json(source->metadata, schema_id);
    if (!source->schema_json) /* schemas that nobody needed any more were dropped */
        source->schema_json = weir_metadata_schema_json(source->metadata, -1);
    if (!source->schema_json)
        return weir_fail(reterr, WEIR_CORRUPT, "the table has no schema %d", schema_id);
    WEIR_TRY(weir_schema_read(&source->arena, source->schema_json, &source->schema,
                              &source->refusals, &source->refusal_count, reterr));
    return options->file_column ? add_file_column(source, reterr) : WEIR_OK;
}

/* ---- manifests ------------------------------------------------------------------------------ */

/* v1 may list manifests in the document itself: of them nothing is known but what they say. */
static weir_status listed_manifests(const struct iceberg_source *source,
                                    const struct weir_snapshot *snapshot, struct weir_arena *arena,
                                    struct weir_manifest **ret, size_t *ret_count,
                                    struct weir_error *reterr)
{
    size_t count = json_array_size(snapshot->manifests);
    struct weir_manifest *manifests;
    WEIR_TRY(weir_arena_zero(arena, count, sizeof *manifests, &manifests, reterr));
    for (size_t i = 0; i < count; i++) {
        WEIR_AUTO(weir_buffer) bytes = {.account = source->account};
        const char *path = json_string_value(json_array_get(snapshot->manifests, i));
        if (!path)
            return weir_fail(reterr, WEIR_CORRUPT, "snapshot %lld: a manifest that is no text",
                             (long long)snapshot->id);
        WEIR_TRY(iceberg_get(source, path, 0, UINT64_MAX, &bytes, reterr));
        manifests[i] = (struct weir_manifest){.path = path,
                                              .length = (int64_t)bytes.size,
                                              .added_snapshot_id = snapshot->id,
                                              .added_files = -1,
                                              .existing_files = -1,
                                              .deleted_files = -1,
                                              .added_rows = -1,
                                              .existing_rows = -1,
                                              .deleted_rows = -1};
        WEIR_TRY(weir_manifest_header_spec(bytes.data, bytes.size, arena, &manifests[i].spec_id,
                                           reterr));
    }
    *ret = manifests;
    *ret_count = count;
    return WEIR_OK;
}

weir_status iceberg_snapshot_manifests(const struct iceberg_source *source,
                                       const struct weir_snapshot *snapshot,
                                       struct weir_arena *arena, struct weir_manifest **ret,
                                       size_t *ret_count, struct weir_error *reterr)
{
    if (!*snapshot->manifest_list)
        return listed_manifests(source, snapshot, arena, ret, ret_count, reterr);
    WEIR_AUTO(weir_buffer) bytes = {.account = source->account};
    WEIR_TRY(iceberg_get(source, snapshot->manifest_list, 0, UINT64_MAX, &bytes, reterr));
    weir_status status = weir_manifest_list_read(arena, bytes.data, bytes.size, ret, ret_count,
                                                 reterr);
    if (status != WEIR_OK)
        weir_error_prefix(reterr, "%.300s", snapshot->manifest_list);
    return status;
}

weir_status iceberg_manifest_entries(struct iceberg_source *source, size_t index,
                                     struct weir_arena *arena, struct weir_manifest_entry **ret,
                                     size_t *ret_count, struct weir_error *reterr)
{
    const struct weir_manifest *manifest = &source->manifests[index];
    struct weir_buffer *kept = &source->manifest_bytes[index];
    if (kept->size == 0)
        WEIR_TRY(iceberg_get(source, manifest->path, 0, UINT64_MAX, kept, reterr));
    return weir_manifest_read(arena, kept->data, kept->size, manifest, ret, ret_count, reterr);
}

/* ---- small things --------------------------------------------------------------------------- */

bool iceberg_spec_is_unpartitioned(const struct weir_partition_spec *spec)
{
    for (size_t i = 0; i < spec->field_count; i++)
        if (strcmp(spec->fields[i].transform, "void") != 0)
            return false;
    return true;
}

/* The path from the top to the field with that id; false = not below here. */
static bool contains(const struct weir_type *type, int32_t id)
{
    return weir_type_by_id(type, id) != NULL;
}

static weir_status prune_to(struct weir_arena *arena, const struct weir_field *from, int32_t id,
                            struct weir_field *ret_field, struct weir_error *reterr)
{
    struct weir_field field = *from;
    if (from->id != id) {
        if (from->type.id != WEIR_STRUCT)
            return weir_fail(reterr, WEIR_UNSUPPORTED,
                             "equality deletes by field %d, which is inside of a %s", id,
                             weir_type_name(from->type.id));
        WEIR_TRY(
            weir_arena_zero(arena, 1, sizeof *field.type.children, &field.type.children, reterr));
        field.type.child_count = 1;
        for (uint32_t i = 0; i < from->type.child_count; i++) {
            const struct weir_field *child = &from->type.children[i];
            if (child->id == id || contains(&child->type, id))
                WEIR_TRY(prune_to(arena, child, id, &field.type.children[0], reterr));
        }
    } else if (weir_type_is_nested(from->type.id)) {
        return weir_fail(reterr, WEIR_UNSUPPORTED, "equality deletes by field %d, a %s", id,
                         weir_type_name(from->type.id));
    }
    *ret_field = field;
    return WEIR_OK;
}

weir_status iceberg_field_alone(const struct iceberg_source *source, int32_t id,
                                struct weir_arena *arena, struct weir_field *ret_field,
                                struct weir_error *reterr)
{
    const json_t *schemas = json_object_get(weir_metadata_document(source->metadata), "schemas");
    for (size_t i = 0; i <= json_array_size(schemas); i++) {
        struct weir_schema schema = source->schema;
        struct weir_schema_refusal *refusals;
        size_t count;
        if (i > 0)
            WEIR_TRY(weir_schema_read(arena, json_array_get(schemas, i - 1), &schema, &refusals,
                                      &count, reterr));
        for (uint32_t j = 0; j < schema.root.child_count; j++) {
            const struct weir_field *column = &schema.root.children[j];
            if (column->id == id || contains(&column->type, id))
                return prune_to(arena, column, id, ret_field, reterr);
        }
    }
    return weir_fail(reterr, WEIR_UNSUPPORTED,
                     "equality deletes by field %d, which no schema of the table has with a type "
                     "that Weir reads",
                     id);
}

/* ---- the whole ------------------------------------------------------------------------------ */

static weir_status read_name_mapping(struct iceberg_source *source, struct weir_error *reterr)
{
    const char *text = weir_metadata_property(source->metadata, "schema.name-mapping.default");
    json_error_t error;
    if (!text)
        return WEIR_OK;
    source->name_mapping = json_loads(text, 0, &error);
    return json_is_array(source->name_mapping)
               ? WEIR_OK
               : weir_fail(reterr, WEIR_CORRUPT, "schema.name-mapping.default is no JSON list");
}

static weir_status open_all(struct iceberg_source *source,
                            const struct weir_iceberg_options *options, struct weir_error *reterr)
{
    if (strcmp(options->store.operations->kind, "local") == 0)
        WEIR_TRY(weir_store_local_new(source->context, "/", &source->disk, reterr));
    WEIR_TRY(load(source, options, reterr));
    WEIR_TRY(choose(source, options, reterr));
    WEIR_TRY(read_name_mapping(source, reterr));
    if (source->has_snapshot)
        WEIR_TRY(iceberg_snapshot_manifests(source, &source->snapshot, &source->arena,
                                            &source->manifests, &source->manifest_count, reterr));
    WEIR_TRY(weir_arena_zero(&source->arena, source->manifest_count, sizeof *source->manifest_bytes,
                             &source->manifest_bytes, reterr));
    for (size_t i = 0; i < source->manifest_count; i++)
        weir_buffer_init(&source->manifest_bytes[i], source->account);
    return WEIR_OK;
}

weir_status iceberg_source_new(struct weir_context *context, struct weir_account *account,
                               const struct weir_iceberg_options *options,
                               struct iceberg_source **ret_source, struct weir_error *reterr)
{
    struct iceberg_source *source;
    WEIR_TRY(weir_alloc_zero(account, 1, sizeof *source, &source, reterr));
    source->context = context;
    source->account = account;
    source->options = *options;
    weir_arena_init(&source->arena, account);
    weir_status status = open_all(source, options, reterr);
    source->options.catalog = NULL; /* opening is over */
    source->options.table = source->options.metadata_location = source->options.ref = NULL;
    if (status != WEIR_OK) {
        iceberg_source_free(source);
        return status;
    }
    *ret_source = source;
    return WEIR_OK;
}

void iceberg_source_free(struct iceberg_source *source)
{
    if (!source)
        return;
    for (size_t i = 0; source->manifest_bytes && i < source->manifest_count; i++)
        weir_buffer_done(&source->manifest_bytes[i]);
    if (source->disk.operations)
        source->disk.operations->free(source->disk.self);
    json_decref(source->name_mapping);
    weir_table_free(source->table);
    weir_metadata_free(source->document);
    weir_arena_done(&source->arena);
    weir_free(source);
}
