/* A commit applied to a metadata document, as an Iceberg REST server does it: every requirement,
 * then the updates in order on a copy. Spec: REST OpenAPI "TableRequirement", "TableUpdate"; table
 * spec "Table Metadata Fields".
 *
 * Where writers differ this follows the Java library: given schema, spec and sort order ids are
 * replaced (0 for the first, then the highest + 1; what is there already is reused), -1 in set-*
 * means the last one added by this commit. */
#include "formats/iceberg/catalog.h"
#include "formats/iceberg/metadata_int.h"

#include <stdlib.h>
#include <string.h>

#define VERSIONS_MAX_DEFAULT 100
#define PARTITION_ID_FIRST   1000
#define CLOCK_SKEW_MS                                                                              \
    60000 /* a snapshot may be this much older than the table's last update, as in Java */

struct applier {
    struct weir_account *account;
    const struct weir_metadata *base; /* NULL: create */
    json_t *document;                 /* ours, being changed */
    int64_t now_ms;
    int64_t last_schema, last_spec, last_order; /* added by this commit; -1 = none */
    json_t *added;                              /* snapshot id as text -> its timestamp */
    bool removed_snapshots;
    struct weir_error *reterr;
};

static weir_status no_memory(struct applier *applier)
{
    return weir_fail(applier->reterr, WEIR_NO_MEMORY, "no memory for a JSON document");
}

static weir_status set(struct applier *applier, json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0 ? WEIR_OK : no_memory(applier);
}

static weir_status append(struct applier *applier, json_t *array, json_t *value)
{
    return json_array_append_new(array, value) == 0 ? WEIR_OK : no_memory(applier);
}

/* document[key], made empty when it is missing or null. */
static weir_status ensure(struct applier *applier, const char *key, bool array, json_t **ret_value)
{
    json_t *value = json_object_get(applier->document, key);
    if (!value || json_is_null(value)) {
        value = array ? json_array() : json_object();
        WEIR_TRY(set(applier, applier->document, key, value));
    }
    if (array ? !json_is_array(value) : !json_is_object(value))
        return weir_fail(applier->reterr, WEIR_CORRUPT, "\"%s\" is no %s", key,
                         array ? "list" : "object");
    *ret_value = value;
    return WEIR_OK;
}

static int64_t number(const json_t *object, const char *key, int64_t otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

/* ---- requirements --------------------------------------------------------------------------- */

static weir_status require_number(struct applier *applier, const json_t *requirement,
                                  const char *key, int64_t actual, const char *what)
{
    int64_t wanted;
    WEIR_TRY(metadata_int64(requirement, key, &wanted, applier->reterr));
    if (wanted == actual)
        return WEIR_OK;
    return weir_fail(applier->reterr, WEIR_PRECONDITION, "%s is %lld, not %lld", what,
                     (long long)actual, (long long)wanted);
}

static weir_status require_ref(struct applier *applier, const json_t *requirement)
{
    const char *ref;
    int64_t actual = -1, wanted = -1;
    WEIR_TRY(metadata_text(requirement, "ref", &ref, applier->reterr));
    const json_t *id = json_object_get(requirement, "snapshot-id");
    if (id && !json_is_null(id))
        WEIR_TRY(metadata_int64(requirement, "snapshot-id", &wanted, applier->reterr));
    bool there = weir_metadata_ref(applier->base, ref, &actual);
    if (json_is_integer(id) ? there && actual == wanted : !there)
        return WEIR_OK;
    if (!there)
        return weir_fail(applier->reterr, WEIR_PRECONDITION,
                         "ref %.100s is not there, wanted at snapshot %lld", ref,
                         (long long)wanted);
    if (!json_is_integer(id))
        return weir_fail(applier->reterr, WEIR_PRECONDITION,
                         "ref %.100s is there already, at snapshot %lld", ref, (long long)actual);
    return weir_fail(applier->reterr, WEIR_PRECONDITION, "ref %.100s is at snapshot %lld, not %lld",
                     ref, (long long)actual, (long long)wanted);
}

static weir_status require_uuid(struct applier *applier, const json_t *requirement)
{
    const char *uuid;
    WEIR_TRY(metadata_text(requirement, "uuid", &uuid, applier->reterr));
    if (strcasecmp(uuid, applier->base->uuid) == 0)
        return WEIR_OK;
    return weir_fail(applier->reterr, WEIR_PRECONDITION,
                     "the table's uuid is %.40s, not %.40s: it was made anew", applier->base->uuid,
                     uuid);
}

static weir_status require(struct applier *applier, const json_t *requirement)
{
    static const struct {
        const char *type, *key, *member;
    } numbers[] = {
        {"assert-last-assigned-field-id", "last-assigned-field-id", "last-column-id"},
        {"assert-current-schema-id", "current-schema-id", "current-schema-id"},
        {"assert-last-assigned-partition-id", "last-assigned-partition-id", "last-partition-id"},
        {"assert-default-spec-id", "default-spec-id", "default-spec-id"},
        {"assert-default-sort-order-id", "default-sort-order-id", "default-sort-order-id"},
    };
    const char *type;
    WEIR_TRY(metadata_text(requirement, "type", &type, applier->reterr));
    if (strcmp(type, "assert-create") == 0)
        return applier->base
                   ? weir_fail(applier->reterr, WEIR_PRECONDITION, "the table is there already")
                   : WEIR_OK;
    if (!applier->base)
        return weir_fail(applier->reterr, WEIR_PRECONDITION, "%.60s: there is no table", type);
    if (strcmp(type, "assert-table-uuid") == 0)
        return require_uuid(applier, requirement);
    if (strcmp(type, "assert-ref-snapshot-id") == 0)
        return require_ref(applier, requirement);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (strcmp(type, numbers[i].type) == 0)
            return require_number(applier, requirement, numbers[i].key,
                                  number(applier->base->document, numbers[i].member, 0),
                                  numbers[i].member);
    return weir_fail(applier->reterr, WEIR_UNSUPPORTED, "requirement \"%.60s\"", type);
}

/* ---- updates -------------------------------------------------------------------------------- */

static weir_status assign_uuid(struct applier *applier, const json_t *update)
{
    const char *uuid;
    WEIR_TRY(metadata_text(update, "uuid", &uuid, applier->reterr));
    const char *old = json_string_value(json_object_get(applier->document, "table-uuid"));
    if (old && strcasecmp(old, uuid) != 0)
        return weir_fail(applier->reterr, WEIR_PRECONDITION, "the table's uuid is %.40s and stays",
                         old);
    return old ? WEIR_OK : set(applier, applier->document, "table-uuid", json_string(uuid));
}

/* v1 has one schema and one spec where v2 has lists. */
static weir_status upgrade_lists(struct applier *applier)
{
    json_t *document = applier->document, *schemas = json_object_get(document, "schemas"),
           *specs = json_object_get(document, "partition-specs");
    if (!schemas) {
        json_t *schema = json_object_get(document, "schema");
        WEIR_TRY(set(applier, schema, "schema-id", json_integer(0)));
        WEIR_TRY(set(applier, document, "schemas", json_pack("[O]", schema)));
        WEIR_TRY(set(applier, document, "current-schema-id", json_integer(0)));
    }
    if (!specs) {
        json_t *fields = json_object_get(document, "partition-spec");
        for (size_t i = 0; i < json_array_size(fields); i++)
            if (!json_object_get(json_array_get(fields, i), "field-id"))
                WEIR_TRY(set(applier, json_array_get(fields, i), "field-id",
                             json_integer(PARTITION_ID_FIRST + (json_int_t)i)));
        WEIR_TRY(set(applier, document, "partition-specs",
                     json_pack("[{s:i, s:O}]", "spec-id", 0, "fields", fields)));
        WEIR_TRY(set(applier, document, "default-spec-id", json_integer(0)));
        WEIR_TRY(set(applier, document, "last-partition-id",
                     json_integer(PARTITION_ID_FIRST - 1 + (json_int_t)json_array_size(fields))));
    }
    json_object_del(document, "schema");
    json_object_del(document, "partition-spec");
    return WEIR_OK;
}

static weir_status upgrade(struct applier *applier, const json_t *update)
{
    int64_t wanted, now = number(applier->document, "format-version", 0);
    WEIR_TRY(metadata_int64(update, "format-version", &wanted, applier->reterr));
    if (wanted < now)
        return weir_fail(applier->reterr, WEIR_USAGE, "format version %lld cannot go back to %lld",
                         (long long)now, (long long)wanted);
    if (wanted > 2)
        return weir_fail(applier->reterr, WEIR_UNSUPPORTED, "format version %lld",
                         (long long)wanted);
    if (wanted == now)
        return WEIR_OK;
    WEIR_TRY(upgrade_lists(applier));
    int64_t current = number(applier->document, "current-snapshot-id", -1);
    if (current != -1 && !json_object_get(applier->document, "refs"))
        WEIR_TRY(set(applier, applier->document, "refs",
                     json_pack("{s:{s:I, s:s}}", "main", "snapshot-id", (json_int_t)current, "type",
                               "branch")));
    WEIR_TRY(set(applier, applier->document, "last-sequence-number", json_integer(0)));
    return set(applier, applier->document, "format-version", json_integer(2));
}

/* Equal lists; a missing one is an empty one. */
static bool same_list(const json_t *a, const json_t *b)
{
    return json_array_size(a) == json_array_size(b) &&
           (json_array_size(a) == 0 || json_equal(a, b));
}

static weir_status same_schema(struct weir_arena *arena, const json_t *a, const json_t *b,
                               bool *ret_same, struct weir_error *reterr)
{
    struct weir_schema x, y;
    WEIR_TRY(weir_schema_from_json(arena, a, &x, reterr));
    WEIR_TRY(weir_schema_from_json(arena, b, &y, reterr));
    *ret_same = weir_type_equal(&x.root, &y.root, true) &&
                same_list(json_object_get(a, "identifier-field-ids"),
                          json_object_get(b, "identifier-field-ids"));
    return WEIR_OK;
}

static weir_status add_schema_in(struct applier *applier, struct weir_arena *arena,
                                 const json_t *update)
{
    const json_t *schema = json_object_get(update, "schema");
    struct weir_schema view;
    json_t *schemas;
    WEIR_TRY(weir_schema_from_json(arena, schema, &view, applier->reterr));
    WEIR_TRY(ensure(applier, "schemas", true, &schemas));
    int64_t id = 0;
    for (size_t i = 0; i < json_array_size(schemas); i++) {
        const json_t *old = json_array_get(schemas, i);
        bool same;
        WEIR_TRY(same_schema(arena, old, schema, &same, applier->reterr));
        if (same) {
            applier->last_schema = number(old, "schema-id", 0);
            return WEIR_OK;
        }
        id = number(old, "schema-id", 0) >= id ? number(old, "schema-id", 0) + 1 : id;
    }
    int64_t last = number(applier->document, "last-column-id", 0),
            highest = weir_type_highest_id(&view.root), given = number(update, "last-column-id", 0);
    highest = given > highest ? given : highest;
    WEIR_TRY(set(applier, applier->document, "last-column-id",
                 json_integer(highest > last ? highest : last)));
    json_t *copy = json_deep_copy(schema);
    WEIR_TRY(append(applier, schemas, copy));
    applier->last_schema = id;
    return set(applier, copy, "schema-id", json_integer(id));
}

static weir_status add_schema(struct applier *applier, const json_t *update)
{
    struct weir_arena arena;
    weir_arena_init(&arena, applier->account);
    weir_status status = add_schema_in(applier, &arena, update);
    weir_arena_done(&arena);
    return status;
}

/* set-current-schema, set-default-spec, set-default-sort-order: the id, -1 replaced, that must be
 * in the list. */
static weir_status choose(struct applier *applier, const json_t *update, const char *key,
                          const char *list, const char *id_key, int64_t last, const char *member)
{
    int64_t id;
    WEIR_TRY(metadata_int64(update, key, &id, applier->reterr));
    if (id == -1) {
        if (last == -1)
            return weir_fail(applier->reterr, WEIR_USAGE,
                             "-1 means the last one added, but this commit adds none");
        id = last;
    }
    if (!metadata_member(json_object_get(applier->document, list), id_key, id))
        return weir_fail(applier->reterr, WEIR_USAGE, "\"%s\" has no %s %lld", list, id_key,
                         (long long)id);
    return set(applier, applier->document, member, json_integer(id));
}

static weir_status set_current_schema(struct applier *applier, const json_t *update)
{
    return choose(applier, update, "schema-id", "schemas", "schema-id", applier->last_schema,
                  "current-schema-id");
}

static weir_status set_default_spec(struct applier *applier, const json_t *update)
{
    return choose(applier, update, "spec-id", "partition-specs", "spec-id", applier->last_spec,
                  "default-spec-id");
}

static weir_status set_default_order(struct applier *applier, const json_t *update)
{
    return choose(applier, update, "sort-order-id", "sort-orders", "order-id", applier->last_order,
                  "default-sort-order-id");
}

static bool same_text(const json_t *a, const json_t *b, const char *key)
{
    return json_equal(json_object_get(a, key), json_object_get(b, key));
}

static bool same_spec(const json_t *a, const json_t *b)
{
    if (json_array_size(a) != json_array_size(b))
        return false;
    for (size_t i = 0; i < json_array_size(a); i++) {
        const json_t *x = json_array_get(a, i), *y = json_array_get(b, i);
        bool ids = !json_object_get(y, "field-id") || same_text(x, y, "field-id");
        if (!ids || !same_text(x, y, "source-id") || !same_text(x, y, "transform") ||
            !same_text(x, y, "name"))
            return false;
    }
    return true;
}

/* The id of a partition field of an older spec with the same source and transform, else the next
 * one. */
static weir_status spec_field_id(struct applier *applier, const json_t *specs, json_t *field,
                                 int64_t *last)
{
    int64_t id = number(field, "field-id", -1);
    for (size_t i = 0; id == -1 && i < json_array_size(specs); i++) {
        const json_t *fields = json_object_get(json_array_get(specs, i), "fields");
        for (size_t j = 0; id == -1 && j < json_array_size(fields); j++)
            if (same_text(json_array_get(fields, j), field, "source-id") &&
                same_text(json_array_get(fields, j), field, "transform"))
                id = number(json_array_get(fields, j), "field-id", -1);
    }
    id = id == -1 ? *last + 1 : id;
    *last = id > *last ? id : *last;
    return set(applier, field, "field-id", json_integer(id));
}

static weir_status add_spec(struct applier *applier, const json_t *update)
{
    const json_t *spec = json_object_get(update, "spec"), *fields = json_object_get(spec, "fields");
    json_t *specs;
    WEIR_TRY(ensure(applier, "partition-specs", true, &specs));
    if (!json_is_array(fields))
        return weir_fail(applier->reterr, WEIR_USAGE, "the partition spec has no list of fields");
    int64_t id = 0, last = number(applier->document, "last-partition-id", PARTITION_ID_FIRST - 1);
    for (size_t i = 0; i < json_array_size(specs); i++) {
        const json_t *old = json_array_get(specs, i);
        if (same_spec(json_object_get(old, "fields"), fields)) {
            applier->last_spec = number(old, "spec-id", 0);
            return WEIR_OK;
        }
        id = number(old, "spec-id", 0) >= id ? number(old, "spec-id", 0) + 1 : id;
    }
    json_t *copy = json_deep_copy(spec), *own = json_object_get(copy, "fields");
    WEIR_TRY(set(applier, copy, "spec-id", json_integer(id)));
    weir_status status = WEIR_OK;
    for (size_t i = 0; status == WEIR_OK && i < json_array_size(own); i++)
        status = spec_field_id(applier, specs, json_array_get(own, i), &last);
    if (status != WEIR_OK) {
        json_decref(copy);
        return status;
    }
    WEIR_TRY(append(applier, specs, copy));
    applier->last_spec = id;
    return set(applier, applier->document, "last-partition-id", json_integer(last));
}

static weir_status add_order(struct applier *applier, const json_t *update)
{
    const json_t *order = json_object_get(update, "sort-order"),
                 *fields = json_object_get(order, "fields");
    json_t *orders;
    WEIR_TRY(ensure(applier, "sort-orders", true, &orders));
    if (!json_is_array(fields))
        return weir_fail(applier->reterr, WEIR_USAGE, "the sort order has no list of fields");
    int64_t id = json_array_size(fields) == 0 ? 0 : 1; /* 0 is the unsorted order */
    for (size_t i = 0; i < json_array_size(orders); i++) {
        const json_t *old = json_array_get(orders, i);
        if (same_list(json_object_get(old, "fields"), fields)) {
            applier->last_order = number(old, "order-id", 0);
            return WEIR_OK;
        }
        if (json_array_size(fields) != 0 && number(old, "order-id", 0) >= id)
            id = number(old, "order-id", 0) + 1;
    }
    json_t *copy = json_deep_copy(order);
    WEIR_TRY(append(applier, orders, copy));
    applier->last_order = id;
    return set(applier, copy, "order-id", json_integer(id));
}

static void id_text(char out[24], int64_t id)
{
    snprintf(out, 24, "%lld", (long long)id);
}

static weir_status add_snapshot(struct applier *applier, const json_t *update)
{
    const json_t *snapshot = json_object_get(update, "snapshot");
    int64_t id, sequence_number, timestamp,
        last = number(applier->document, "last-sequence-number", 0);
    int64_t updated = number(applier->document, "last-updated-ms", 0);
    const char *text;
    json_t *snapshots;
    WEIR_TRY(metadata_int64(snapshot, "snapshot-id", &id, applier->reterr));
    WEIR_TRY(metadata_int64(snapshot, "sequence-number", &sequence_number, applier->reterr));
    WEIR_TRY(metadata_int64(snapshot, "timestamp-ms", &timestamp, applier->reterr));
    WEIR_TRY(metadata_text(snapshot, "manifest-list", &text, applier->reterr));
    WEIR_TRY(
        metadata_text(json_object_get(snapshot, "summary"), "operation", &text, applier->reterr));
    WEIR_TRY(ensure(applier, "snapshots", true, &snapshots));
    if (id < 0)
        return weir_fail(applier->reterr, WEIR_USAGE, "snapshot id %lld is negative",
                         (long long)id);
    if (metadata_member(snapshots, "snapshot-id", id))
        return weir_fail(applier->reterr, WEIR_PRECONDITION, "snapshot %lld is there already",
                         (long long)id);
    if (sequence_number <= last)
        return weir_fail(applier->reterr, WEIR_PRECONDITION,
                         "snapshot %lld: sequence number %lld is not beyond the table's last, %lld",
                         (long long)id, (long long)sequence_number, (long long)last);
    if (timestamp < updated - CLOCK_SKEW_MS)
        return weir_fail(applier->reterr, WEIR_USAGE,
                         "snapshot %lld: its time %lld lies before the table's last update, %lld",
                         (long long)id, (long long)timestamp, (long long)updated);
    WEIR_TRY(append(applier, snapshots, json_deep_copy(snapshot)));
    char key[24];
    id_text(key, id);
    WEIR_TRY(set(applier, applier->added, key, json_integer(timestamp)));
    if (timestamp > applier->now_ms)
        applier->now_ms = timestamp;
    return set(applier, applier->document, "last-sequence-number", json_integer(sequence_number));
}

static weir_status move_main(struct applier *applier, int64_t id)
{
    json_t *log;
    char key[24];
    id_text(key, id);
    WEIR_TRY(ensure(applier, "snapshot-log", true, &log));
    int64_t time = number(applier->added, key, applier->now_ms);
    WEIR_TRY(append(
        applier, log,
        json_pack("{s:I, s:I}", "timestamp-ms", (json_int_t)time, "snapshot-id", (json_int_t)id)));
    return set(applier, applier->document, "current-snapshot-id", json_integer(id));
}

static weir_status set_ref(struct applier *applier, const json_t *update)
{
    const char *name, *type;
    int64_t id;
    json_t *refs;
    WEIR_TRY(metadata_text(update, "ref-name", &name, applier->reterr));
    WEIR_TRY(metadata_text(update, "type", &type, applier->reterr));
    WEIR_TRY(metadata_int64(update, "snapshot-id", &id, applier->reterr));
    WEIR_TRY(ensure(applier, "refs", false, &refs));
    bool is_main = strcmp(name, "main") == 0, is_tag = strcmp(type, "tag") == 0;
    if (!is_tag && strcmp(type, "branch") != 0)
        return weir_fail(applier->reterr, WEIR_USAGE,
                         "ref %.100s: type \"%.40s\" is neither branch nor tag", name, type);
    if (is_main && is_tag)
        return weir_fail(applier->reterr, WEIR_USAGE, "main is a branch");
    if (!metadata_member(json_object_get(applier->document, "snapshots"), "snapshot-id", id))
        return weir_fail(applier->reterr, WEIR_PRECONDITION,
                         "ref %.100s: snapshot %lld is not there", name, (long long)id);
    json_t *ref = json_pack("{s:I, s:s}", "snapshot-id", (json_int_t)id, "type", type);
    static const char *const limits[] = {"min-snapshots-to-keep", "max-snapshot-age-ms",
                                         "max-ref-age-ms"};
    for (size_t i = 0; i < 3; i++)
        if (json_is_integer(json_object_get(update, limits[i])))
            json_object_set(ref, limits[i], json_object_get(update, limits[i]));
    bool moved = number(applier->document, "current-snapshot-id", -1) != id;
    WEIR_TRY(set(applier, refs, name, ref));
    return is_main && moved ? move_main(applier, id) : WEIR_OK;
}

static weir_status remove_ref(struct applier *applier, const json_t *update)
{
    const char *name;
    json_t *refs;
    WEIR_TRY(metadata_text(update, "ref-name", &name, applier->reterr));
    WEIR_TRY(ensure(applier, "refs", false, &refs));
    json_object_del(refs, name);
    if (strcmp(name, "main") != 0)
        return WEIR_OK;
    WEIR_TRY(set(applier, applier->document, "snapshot-log", json_array()));
    return set(applier, applier->document, "current-snapshot-id", json_integer(-1));
}

/* Java drops refs of removed snapshots in silence; a ref another writer has just made deserves
 * better. */
static weir_status refuse_if_referenced(struct applier *applier, int64_t id)
{
    const char *name;
    json_t *ref;
    json_object_foreach(json_object_get(applier->document, "refs"), name, ref)
    {
        if (number(ref, "snapshot-id", -1) == id)
            return weir_fail(applier->reterr, WEIR_PRECONDITION,
                             "snapshot %lld is still named by ref %.100s", (long long)id, name);
    }
    return WEIR_OK;
}

/* Statistics files of snapshots that are gone are named no more. */
static void remove_statistics(struct applier *applier, const char *list_name, const json_t *gone)
{
    json_t *list = json_object_get(applier->document, list_name);
    char key[24];
    for (size_t i = json_array_size(list); i > 0; i--) {
        id_text(key, number(json_array_get(list, i - 1), "snapshot-id", -1));
        if (json_object_get(gone, key))
            json_array_remove(list, i - 1);
    }
}

static weir_status remove_snapshots(struct applier *applier, const json_t *update)
{
    const json_t *ids = json_object_get(update, "snapshot-ids");
    json_t *snapshots, *kept = json_array(), *gone = json_object();
    weir_status status = kept && gone && json_is_array(ids)
                             ? WEIR_OK
                             : weir_fail(applier->reterr, WEIR_USAGE,
                                         "remove-snapshots without a list of ids");
    char key[24];
    for (size_t i = 0; status == WEIR_OK && i < json_array_size(ids); i++) {
        int64_t id = json_integer_value(json_array_get(ids, i));
        id_text(key, id);
        status = refuse_if_referenced(applier, id);
        if (status == WEIR_OK)
            status = set(applier, gone, key, json_true());
    }
    if (status == WEIR_OK)
        status = ensure(applier, "snapshots", true, &snapshots);
    for (size_t i = 0; status == WEIR_OK && i < json_array_size(snapshots); i++) {
        id_text(key, number(json_array_get(snapshots, i), "snapshot-id", -1));
        if (!json_object_get(gone, key) &&
            json_array_append(kept, json_array_get(snapshots, i)) != 0)
            status = no_memory(applier);
    }
    if (status == WEIR_OK) {
        remove_statistics(applier, "statistics", gone);
        remove_statistics(applier, "partition-statistics", gone);
    }
    json_decref(gone);
    if (status != WEIR_OK) {
        json_decref(kept);
        return status;
    }
    applier->removed_snapshots = true;
    return set(applier, applier->document, "snapshots", kept);
}

static weir_status set_location(struct applier *applier, const json_t *update)
{
    const char *location;
    WEIR_TRY(metadata_text(update, "location", &location, applier->reterr));
    return set(applier, applier->document, "location", json_string(location));
}

static weir_status set_properties(struct applier *applier, const json_t *update)
{
    const json_t *updates = json_object_get(update, "updates");
    json_t *properties;
    WEIR_TRY(ensure(applier, "properties", false, &properties));
    return json_object_update(properties, (json_t *)(uintptr_t)updates) == 0
               ? WEIR_OK
               : weir_fail(applier->reterr, WEIR_USAGE,
                           "set-properties without an object of updates");
}

static weir_status remove_properties(struct applier *applier, const json_t *update)
{
    const json_t *removals = json_object_get(update, "removals");
    json_t *properties;
    WEIR_TRY(ensure(applier, "properties", false, &properties));
    for (size_t i = 0; i < json_array_size(removals); i++)
        if (json_is_string(json_array_get(removals, i)))
            json_object_del(properties, json_string_value(json_array_get(removals, i)));
    return WEIR_OK;
}

static const struct {
    const char *action;
    weir_status (*apply)(struct applier *applier, const json_t *update);
} actions[] = {
    {"upgrade-format-version", upgrade},
    {"assign-uuid", assign_uuid},
    {"add-schema", add_schema},
    {"set-current-schema", set_current_schema},
    {"add-spec", add_spec},
    {"set-default-spec", set_default_spec},
    {"add-sort-order", add_order},
    {"set-default-sort-order", set_default_order},
    {"add-snapshot", add_snapshot},
    {"set-snapshot-ref", set_ref},
    {"remove-snapshot-ref", remove_ref},
    {"remove-snapshots", remove_snapshots},
    {"set-location", set_location},
    {"set-properties", set_properties},
    {"remove-properties", remove_properties},
};

static weir_status update_one(struct applier *applier, const json_t *update)
{
    const char *action;
    WEIR_TRY(metadata_text(update, "action", &action, applier->reterr));
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        if (strcmp(action, actions[i].action) != 0)
            continue;
        if (i > 1 && number(applier->document, "format-version", 0) < 2)
            return weir_fail(applier->reterr, WEIR_UNSUPPORTED,
                             "%s on a table of format version 1: upgrade it first", action);
        weir_status status = actions[i].apply(applier, update);
        if (status != WEIR_OK)
            weir_error_prefix(applier->reterr, "%s", action);
        return status;
    }
    return weir_fail(applier->reterr, WEIR_UNSUPPORTED, "update \"%.60s\"", action);
}

/* ---- the whole ------------------------------------------------------------------------------ */

static json_t *blank_document(void)
{
    return json_pack("{s:i, s:i, s:i, s:i, s:[], s:i, s:[], s:i, s:i, s:[], s:i, s:{}, s:i, s:{}, "
                     "s:[], s:[], s:[]}",
                     "format-version", 2, "last-sequence-number", 0, "last-updated-ms", 0,
                     "last-column-id", 0, "schemas", "current-schema-id", -1, "partition-specs",
                     "default-spec-id", -1, "last-partition-id", PARTITION_ID_FIRST - 1,
                     "sort-orders", "default-sort-order-id", -1, "properties",
                     "current-snapshot-id", -1, "refs", "snapshots", "snapshot-log",
                     "metadata-log");
}

/* What a created table may leave unsaid: unpartitioned, unsorted. */
static weir_status fill_defaults(struct applier *applier)
{
    static const char *const needed[] = {"table-uuid", "location"};
    for (size_t i = 0; i < 2; i++)
        if (!json_object_get(applier->document, needed[i]))
            return weir_fail(applier->reterr, WEIR_USAGE,
                             "the commit that creates a table gives no %s", needed[i]);
    if (number(applier->document, "current-schema-id", -1) == -1)
        return weir_fail(applier->reterr, WEIR_USAGE,
                         "the commit that creates a table sets no schema");
    if (number(applier->document, "default-spec-id", -1) == -1) {
        WEIR_TRY(set(applier, applier->document, "partition-specs",
                     json_pack("[{s:i, s:[]}]", "spec-id", 0, "fields")));
        WEIR_TRY(set(applier, applier->document, "default-spec-id", json_integer(0)));
    }
    if (number(applier->document, "default-sort-order-id", -1) == -1) {
        WEIR_TRY(set(applier, applier->document, "sort-orders",
                     json_pack("[{s:i, s:[]}]", "order-id", 0, "fields")));
        WEIR_TRY(set(applier, applier->document, "default-sort-order-id", json_integer(0)));
    }
    return WEIR_OK;
}

/* History before a removed snapshot is not history any more: the log starts again behind it, as in
 * Java. */
static weir_status mend_snapshot_log(struct applier *applier)
{
    const json_t *log = json_object_get(applier->document, "snapshot-log");
    const json_t *snapshots = json_object_get(applier->document, "snapshots");
    json_t *there = json_object(), *kept = json_array();
    weir_status status = there && kept ? WEIR_OK : no_memory(applier);
    char key[24];
    for (size_t i = 0; status == WEIR_OK && i < json_array_size(snapshots); i++) {
        id_text(key, number(json_array_get(snapshots, i), "snapshot-id", -1));
        status = set(applier, there, key, json_true());
    }
    for (size_t i = 0; status == WEIR_OK && i < json_array_size(log); i++) {
        id_text(key, number(json_array_get(log, i), "snapshot-id", -1));
        if (!json_object_get(there, key))
            json_array_clear(kept);
        else if (json_array_append(kept, json_array_get(log, i)) != 0)
            status = no_memory(applier);
    }
    json_decref(there);
    if (status != WEIR_OK) {
        json_decref(kept);
        return status;
    }
    return set(applier, applier->document, "snapshot-log", kept);
}

static weir_status log_previous(struct applier *applier, const char *previous_location)
{
    json_t *log;
    WEIR_TRY(ensure(applier, "metadata-log", true, &log));
    WEIR_TRY(append(applier, log,
                    json_pack("{s:s, s:I}", "metadata-file", previous_location, "timestamp-ms",
                              (json_int_t)applier->base->last_updated_ms)));
    const char *text = json_string_value(json_object_get(
        json_object_get(applier->document, "properties"), "write.metadata.previous-versions-max"));
    long most = text ? strtol(text, NULL, 10) : VERSIONS_MAX_DEFAULT;
    most = most < 1 ? 1 : most;
    while (json_array_size(log) > (size_t)most)
        json_array_remove(log, 0);
    return WEIR_OK;
}

static weir_status apply_all(struct applier *applier, const char *previous_location,
                             const struct weir_commit *commit)
{
    for (size_t i = 0; i < json_array_size(commit->requirements); i++)
        WEIR_TRY(require(applier, json_array_get(commit->requirements, i)));
    for (size_t i = 0; i < json_array_size(commit->updates); i++)
        WEIR_TRY(update_one(applier, json_array_get(commit->updates, i)));
    if (!applier->base)
        WEIR_TRY(fill_defaults(applier));
    if (applier->removed_snapshots)
        WEIR_TRY(mend_snapshot_log(applier));
    if (applier->base && previous_location)
        WEIR_TRY(log_previous(applier, previous_location));
    return set(applier, applier->document, "last-updated-ms", json_integer(applier->now_ms));
}

weir_status weir_metadata_apply(struct weir_account *account, const struct weir_metadata *base,
                                const char *previous_location, const struct weir_commit *commit,
                                int64_t now_ms, struct weir_metadata **ret_metadata,
                                struct weir_error *reterr)
{
    struct applier applier = {.account = account,
                              .base = base,
                              .last_schema = -1,
                              .last_spec = -1,
                              .last_order = -1,
                              .reterr = reterr};
    if (base && base->format_version > 2)
        return weir_fail(reterr, WEIR_UNSUPPORTED,
                         "the table has format version %d: Weir reads it and writes version 2 only",
                         base->format_version);
    applier.now_ms = base && base->last_updated_ms > now_ms ? base->last_updated_ms : now_ms;
    applier.document = base ? json_deep_copy(base->document) : blank_document();
    applier.added = json_object();
    weir_status status = applier.document && applier.added
                             ? apply_all(&applier, previous_location, commit)
                             : no_memory(&applier);
    json_decref(applier.added);
    if (status != WEIR_OK) {
        json_decref(applier.document);
        return status;
    }
    return metadata_from_document(account, applier.document,
                                  json_dumpb(applier.document, NULL, 0, JSON_COMPACT), ret_metadata,
                                  reterr);
}
