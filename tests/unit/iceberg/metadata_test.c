/* Metadata documents: parsing, what stays, commits applied, hostile texts. */
#include "formats/iceberg/catalog.h"

#include <criterion/criterion.h>
#include <string.h>

static struct weir_account account;
static struct weir_arena arena;
static struct weir_error error;

static void setup(void)
{
    weir_account_init(&account, NULL, "test", 64u << 20);
    weir_arena_init(&arena, &account);
}

static void teardown(void)
{
    weir_arena_done(&arena);
    cr_assert_eq(atomic_load(&account.used), 0);
}

TestSuite(metadata, .init = setup, .fini = teardown);

static const char document[] =
    "{\"format-version\":2,\"table-uuid\":\"9c12d441-03fe-4693-9a96-a0705ddf69c1\",\"location\":"
    "\"s3://b/t\",\"last-sequence-number\":34,"
    "\"last-updated-ms\":1602638573590,\"last-column-id\":3,\"current-schema-id\":1,\"schemas\":["
    "{\"type\":\"struct\",\"schema-id\":0,\"fields\":[{\"id\":1,\"name\":\"x\",\"required\":true,"
    "\"type\":\"long\"}]},"
    "{\"type\":\"struct\",\"schema-id\":1,\"identifier-field-ids\":[1],\"fields\":[{\"id\":1,"
    "\"name\":\"x\",\"required\":true,\"type\":\"long\"},"
    "{\"id\":2,\"name\":\"y\",\"required\":false,\"type\":\"decimal(9, "
    "2)\",\"doc\":\"comment\"},{\"id\":3,\"name\":\"z\",\"required\":false,\"type\":\"fixed[16]\"}]"
    "}],"
    "\"default-spec-id\":0,\"partition-specs\":[{\"spec-id\":0,\"fields\":[{\"name\":\"x\","
    "\"transform\":\"identity\",\"source-id\":1,\"field-id\":1000}]}],"
    "\"last-partition-id\":1000,\"default-sort-order-id\":0,\"sort-orders\":[{\"order-id\":0,"
    "\"fields\":[]}],\"properties\":{\"a\":\"1\"},"
    "\"current-snapshot-id\":3055729675574597004,\"snapshots\":["
    "{\"snapshot-id\":3051729675574597004,\"timestamp-ms\":1515100955770,\"sequence-number\":0,"
    "\"summary\":{\"operation\":\"append\"},\"manifest-list\":\"s3://a/b/1.avro\"},"
    "{\"snapshot-id\":3055729675574597004,\"parent-snapshot-id\":3051729675574597004,\"timestamp-"
    "ms\":1555100955770,\"sequence-number\":1,"
    "\"summary\":{\"operation\":\"append\"},\"manifest-list\":\"s3://a/b/"
    "2.avro\",\"schema-id\":1}],"
    "\"snapshot-log\":[{\"snapshot-id\":3051729675574597004,\"timestamp-ms\":1515100955770},{"
    "\"snapshot-id\":3055729675574597004,\"timestamp-ms\":1555100955770}],"
    "\"metadata-log\":[],\"refs\":{\"main\":{\"snapshot-id\":3055729675574597004,\"type\":"
    "\"branch\",\"unheard-of\":1}},\"from-the-future\":{\"deep\":[1,2.5,null]}}";

#define OLD  INT64_C(3051729675574597004)
#define HEAD INT64_C(3055729675574597004)

static struct weir_metadata *parse(const char *text)
{
    struct weir_metadata *metadata;
    cr_assert_eq(weir_metadata_parse(&account, text, strlen(text), &metadata, &error), WEIR_OK,
                 "%s", error.text);
    return metadata;
}

Test(metadata, views_of_the_specs_example)
{
    struct weir_metadata *metadata = parse(document);
    struct weir_snapshot snapshot;
    int64_t id;
    cr_assert_str_eq(weir_metadata_uuid(metadata), "9c12d441-03fe-4693-9a96-a0705ddf69c1");
    cr_assert_str_eq(weir_metadata_location(metadata), "s3://b/t");
    cr_assert_eq(weir_metadata_last_sequence_number(metadata), 34);
    cr_assert_eq(weir_metadata_last_column_id(metadata), 3);
    cr_assert_str_eq(weir_metadata_property(metadata, "a"), "1");
    cr_assert_null(weir_metadata_property(metadata, "b"));
    const struct weir_schema *schema = weir_metadata_schema(metadata);
    cr_assert_eq(schema->id, 1);
    cr_assert_eq(schema->root.child_count, 3);
    cr_assert(schema->root.children[0].required);
    cr_assert_eq(schema->root.children[1].type.precision, 9);
    cr_assert_eq(schema->root.children[1].type.scale, 2);
    cr_assert_str_eq(schema->root.children[1].doc, "comment");
    cr_assert_eq(schema->root.children[2].type.length, 16);
    cr_assert_eq(weir_metadata_spec(metadata)->fields[0].field_id, 1000);
    cr_assert_null(weir_metadata_spec_by_id(metadata, 7));
    cr_assert(weir_metadata_ref(metadata, "main", &id));
    cr_assert_eq(id, HEAD);
    cr_assert_not(weir_metadata_ref(metadata, "other", &id));
    cr_assert(weir_metadata_snapshot(metadata, HEAD, &snapshot));
    cr_assert_eq(snapshot.parent_id, OLD);
    cr_assert_str_eq(snapshot.operation, "append");
    cr_assert_not(weir_metadata_snapshot(metadata, 1, &snapshot));
    cr_assert(weir_metadata_is_ancestor(metadata, OLD, HEAD));
    cr_assert(weir_metadata_is_ancestor(metadata, HEAD, HEAD));
    cr_assert_not(weir_metadata_is_ancestor(metadata, HEAD, OLD));
    cr_assert_not(weir_metadata_is_ancestor(metadata, 5, HEAD));
    weir_metadata_free(metadata);
}

Test(metadata, what_we_do_not_know_stays)
{
    struct weir_metadata *metadata = parse(document);
    WEIR_AUTO(weir_buffer)
    out = {.account = &account};
    cr_assert_eq(weir_metadata_write(metadata, &out, &error), WEIR_OK);
    json_t *before = json_loads(document, 0, NULL),
           *after = json_loadb((const char *)out.data, out.size, 0, NULL);
    cr_assert(json_equal(before, after));
    json_decref(before);
    json_decref(after);
    weir_metadata_free(metadata);
}

/* Applies one update (JSON text) with one requirement ("" = none). */
static weir_status apply(const struct weir_metadata *base, const char *requirement,
                         const char *updates, struct weir_metadata **ret_metadata)
{
    struct weir_commit commit;
    cr_assert_eq(weir_commit_init(&commit, &error), WEIR_OK);
    if (requirement[0])
        cr_assert_eq(weir_commit_require(&commit, json_loads(requirement, 0, NULL), &error),
                     WEIR_OK);
    json_t *list = json_loads(updates, 0, NULL);
    cr_assert_not_null(list, "%s", updates);
    for (size_t i = 0; i < json_array_size(list); i++)
        cr_assert_eq(weir_commit_update(&commit, json_incref(json_array_get(list, i)), &error),
                     WEIR_OK);
    json_decref(list);
    weir_status status = weir_metadata_apply(&account, base,
                                             base ? "s3://b/t/metadata/1.json" : NULL, &commit,
                                             1700000000000, ret_metadata, &error);
    weir_commit_done(&commit);
    return status;
}

static void expect_member(const struct weir_metadata *metadata, const char *key, int64_t value)
{
    const json_t *member = json_object_get(weir_metadata_document(metadata), key);
    cr_assert(json_is_integer(member), "%s", key);
    cr_assert_eq(json_integer_value(member), value, "%s is %lld", key,
                 (long long)json_integer_value(member));
}

Test(metadata, requirements_hold_or_name_what_is_there)
{
    static const struct {
        const char *json;
        weir_status status;
    } cases[] = {
        {"{\"type\":\"assert-create\"}", WEIR_PRECONDITION},
        {"{\"type\":\"assert-table-uuid\",\"uuid\":\"9C12D441-03fe-4693-9a96-a0705ddf69c1\"}",
         WEIR_OK},
        {"{\"type\":\"assert-table-uuid\",\"uuid\":\"00000000-03fe-4693-9a96-a0705ddf69c1\"}",
         WEIR_PRECONDITION},
        {"{\"type\":\"assert-ref-snapshot-id\",\"ref\":\"main\",\"snapshot-id\":"
         "3055729675574597004}",
         WEIR_OK},
        {"{\"type\":\"assert-ref-snapshot-id\",\"ref\":\"main\",\"snapshot-id\":"
         "3051729675574597004}",
         WEIR_PRECONDITION},
        {"{\"type\":\"assert-ref-snapshot-id\",\"ref\":\"main\",\"snapshot-id\":null}",
         WEIR_PRECONDITION},
        {"{\"type\":\"assert-ref-snapshot-id\",\"ref\":\"new\",\"snapshot-id\":null}", WEIR_OK},
        {"{\"type\":\"assert-ref-snapshot-id\",\"ref\":\"new\",\"snapshot-id\":1}",
         WEIR_PRECONDITION},
        {"{\"type\":\"assert-last-assigned-field-id\",\"last-assigned-field-id\":3}", WEIR_OK},
        {"{\"type\":\"assert-last-assigned-field-id\",\"last-assigned-field-id\":2}",
         WEIR_PRECONDITION},
        {"{\"type\":\"assert-current-schema-id\",\"current-schema-id\":1}", WEIR_OK},
        {"{\"type\":\"assert-current-schema-id\",\"current-schema-id\":0}", WEIR_PRECONDITION},
        {"{\"type\":\"assert-last-assigned-partition-id\",\"last-assigned-partition-id\":1000}",
         WEIR_OK},
        {"{\"type\":\"assert-default-spec-id\",\"default-spec-id\":1}", WEIR_PRECONDITION},
        {"{\"type\":\"assert-default-sort-order-id\",\"default-sort-order-id\":0}", WEIR_OK},
        {"{\"type\":\"assert-nothing\"}", WEIR_UNSUPPORTED},
        {"{\"kind\":1}", WEIR_CORRUPT},
    };
    struct weir_metadata *metadata = parse(document), *next;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        weir_status status = apply(metadata, cases[i].json, "[]", &next);
        cr_assert_eq(status, cases[i].status, "%s: %s", cases[i].json, weir_status_name(status));
        if (status == WEIR_OK)
            weir_metadata_free(next);
    }
    weir_metadata_free(metadata);
}

static const char add_snapshot[] =
    "{\"action\":\"add-snapshot\",\"snapshot\":{\"snapshot-id\":%lld,\"parent-snapshot-id\":"
    "3055729675574597004,\"sequence-number\":%lld,\"timestamp-ms\":%lld,"
    "\"manifest-list\":\"s3://b/"
    "l.avro\",\"summary\":{\"operation\":\"append\",\"weir.kind\":\"window\"}}}";

static weir_status add(const struct weir_metadata *base, int64_t id, int64_t sequence_number,
                       int64_t time, const char *more, struct weir_metadata **ret_metadata)
{
    char one[1024], all[2048];
    snprintf(one, sizeof one, add_snapshot, (long long)id, (long long)sequence_number,
             (long long)time);
    snprintf(all, sizeof all, "[%s%s%s]", one, more[0] ? "," : "", more);
    return apply(base, "", all, ret_metadata);
}

Test(metadata, a_snapshot_lands_on_main)
{
    struct weir_metadata *metadata = parse(document), *next;
    int64_t id;
    cr_assert_eq(add(metadata, 77, 35, 1700000000500,
                     "{\"action\":\"set-snapshot-ref\",\"ref-name\":\"main\",\"type\":\"branch\","
                     "\"snapshot-id\":77}",
                     &next),
                 WEIR_OK, "%s", error.text);
    expect_member(next, "last-sequence-number", 35);
    expect_member(next, "current-snapshot-id", 77);
    expect_member(next, "last-updated-ms", 1700000000500);
    cr_assert(weir_metadata_ref(next, "main", &id));
    cr_assert_eq(id, 77);
    const json_t *log = json_object_get(weir_metadata_document(next), "snapshot-log");
    cr_assert_eq(json_array_size(log), 3);
    cr_assert_eq(json_integer_value(json_object_get(json_array_get(log, 2), "timestamp-ms")),
                 1700000000500);
    log = json_object_get(weir_metadata_document(next), "metadata-log");
    cr_assert_str_eq(json_string_value(json_object_get(json_array_get(log, 0), "metadata-file")),
                     "s3://b/t/metadata/1.json");
    cr_assert_eq(json_integer_value(json_object_get(json_array_get(log, 0), "timestamp-ms")),
                 1602638573590);
    cr_assert_not_null(json_object_get(weir_metadata_document(next), "from-the-future"));
    cr_assert(weir_metadata_is_ancestor(next, OLD, 77));
    expect_member(metadata, "last-sequence-number", 34); /* the base is what it was */
    weir_metadata_free(next);
    weir_metadata_free(metadata);
}

Test(metadata, a_snapshot_on_a_branch_leaves_main_alone)
{
    struct weir_metadata *metadata = parse(document), *next;
    cr_assert_eq(add(metadata, 77, 35, 1700000000500,
                     "{\"action\":\"set-snapshot-ref\",\"ref-name\":\"gate\",\"type\":\"branch\","
                     "\"snapshot-id\":77,\"max-ref-age-ms\":5}",
                     &next),
                 WEIR_OK);
    expect_member(next, "current-snapshot-id", HEAD);
    cr_assert_eq(json_array_size(json_object_get(weir_metadata_document(next), "snapshot-log")), 2);
    weir_metadata_free(next);
    weir_metadata_free(metadata);
}

Test(metadata, snapshots_that_are_refused)
{
    struct weir_metadata *metadata = parse(document), *next;
    cr_assert_eq(add(metadata, HEAD, 35, 1700000000000, "", &next), WEIR_PRECONDITION,
                 "an id that is there");
    cr_assert_eq(add(metadata, 77, 34, 1700000000000, "", &next), WEIR_PRECONDITION,
                 "a sequence number that is not beyond the last");
    cr_assert_eq(add(metadata, 77, 35, 1500000000000, "", &next), WEIR_USAGE,
                 "older than the table");
    cr_assert_eq(add(metadata, -7, 35, 1700000000000, "", &next), WEIR_USAGE);
    cr_assert_eq(add(metadata, 77, 35, 1700000000000,
                     "{\"action\":\"set-snapshot-ref\",\"ref-name\":\"main\",\"type\":\"branch\","
                     "\"snapshot-id\":78}",
                     &next),
                 WEIR_PRECONDITION);
    cr_assert_eq(add(metadata, 77, 35, 1700000000000,
                     "{\"action\":\"set-snapshot-ref\",\"ref-name\":\"main\",\"type\":\"tag\","
                     "\"snapshot-id\":77}",
                     &next),
                 WEIR_USAGE);
    weir_metadata_free(metadata);
}

Test(metadata, schemas_specs_and_orders_get_ids)
{
    struct weir_metadata *metadata = parse(document), *next;
    cr_assert_eq(apply(metadata, "",
                       "[{\"action\":\"add-schema\",\"schema\":{\"type\":\"struct\",\"schema-id\":"
                       "99,\"fields\":[{\"id\":9,\"name\":\"n\",\"required\":false,\"type\":"
                       "{\"type\":\"map\",\"key-id\":10,\"key\":\"string\",\"value-id\":11,"
                       "\"value\":\"int\",\"value-required\":true}}]}},"
                       "{\"action\":\"set-current-schema\",\"schema-id\":-1},"
                       "{\"action\":\"add-spec\",\"spec\":{\"fields\":[{\"source-id\":1,"
                       "\"transform\":\"bucket[4]\",\"name\":\"b\"},{\"source-id\":1,\"transform\":"
                       "\"identity\",\"name\":\"again\"}]}},"
                       "{\"action\":\"set-default-spec\",\"spec-id\":-1},"
                       "{\"action\":\"add-sort-order\",\"sort-order\":{\"order-id\":5,\"fields\":[{"
                       "\"transform\":\"identity\",\"source-id\":1,\"direction\":\"asc\",\"null-"
                       "order\":\"nulls-first\"}]}},"
                       "{\"action\":\"set-default-sort-order\",\"sort-order-id\":-1}]",
                       &next),
                 WEIR_OK, "%s", error.text);
    expect_member(next, "current-schema-id", 2);
    expect_member(next, "last-column-id", 11);
    expect_member(next, "default-spec-id", 1);
    expect_member(next, "last-partition-id", 1001);
    expect_member(next, "default-sort-order-id", 1);
    const struct weir_partition_spec *spec = weir_metadata_spec(next);
    cr_assert_eq(spec->fields[0].field_id, 1001);
    cr_assert_eq(spec->fields[1].field_id, 1000, "same source and transform, same id");
    cr_assert(weir_metadata_schema(next)->root.children[0].type.children[1].required);
    weir_metadata_free(next);
    /* what is there is not added again, whatever its spelling */
    cr_assert_eq(
        apply(metadata, "",
              "[{\"action\":\"add-schema\",\"schema\":{\"type\":\"struct\",\"identifier-field-"
              "ids\":[1],\"fields\":[{\"id\":1,\"name\":\"x\",\"required\":true,\"type\":\"long\"},"
              "{\"id\":2,\"name\":\"y\",\"required\":false,\"type\":\"decimal(9,2)\",\"doc\":"
              "\"comment\"},{\"id\":3,\"name\":\"z\",\"required\":false,\"type\":\"fixed[16]\"}]}},"
              "{\"action\":\"set-current-schema\",\"schema-id\":-1}]",
              &next),
        WEIR_OK, "%s", error.text);
    expect_member(next, "current-schema-id", 1);
    cr_assert_eq(json_array_size(json_object_get(weir_metadata_document(next), "schemas")), 2);
    weir_metadata_free(next);
    cr_assert_eq(
        apply(metadata, "", "[{\"action\":\"set-current-schema\",\"schema-id\":-1}]", &next),
        WEIR_USAGE);
    cr_assert_eq(
        apply(metadata, "", "[{\"action\":\"set-current-schema\",\"schema-id\":8}]", &next),
        WEIR_USAGE);
    weir_metadata_free(metadata);
}

Test(metadata, refs_and_snapshots_go)
{
    struct weir_metadata *metadata = parse(document), *next, *last;
    cr_assert_eq(apply(metadata, "",
                       "[{\"action\":\"remove-snapshots\",\"snapshot-ids\":[3055729675574597004]}]",
                       &next),
                 WEIR_PRECONDITION, "main names it");
    cr_assert_eq(apply(metadata, "",
                       "[{\"action\":\"set-snapshot-ref\",\"ref-name\":\"t\",\"type\":\"tag\","
                       "\"snapshot-id\":3051729675574597004}]",
                       &next),
                 WEIR_OK);
    cr_assert_eq(apply(next, "",
                       "[{\"action\":\"remove-snapshots\",\"snapshot-ids\":[3051729675574597004]}]",
                       &last),
                 WEIR_PRECONDITION, "the tag names it");
    cr_assert_eq(apply(next, "",
                       "[{\"action\":\"remove-snapshot-ref\",\"ref-name\":\"t\"},{\"action\":"
                       "\"remove-snapshots\",\"snapshot-ids\":[3051729675574597004]}]",
                       &last),
                 WEIR_OK);
    cr_assert_eq(json_array_size(json_object_get(weir_metadata_document(last), "snapshots")), 1);
    cr_assert_eq(json_array_size(json_object_get(weir_metadata_document(last), "snapshot-log")), 1,
                 "history before a hole is none");
    cr_assert_not(weir_metadata_is_ancestor(last, OLD, HEAD), "cut");
    cr_assert_eq(json_array_size(json_object_get(weir_metadata_document(last), "metadata-log")), 2);
    weir_metadata_free(last);
    weir_metadata_free(next);
    weir_metadata_free(metadata);
}

/* What is said of a snapshot that goes is said no more; of the others it stays. */
Test(metadata, statistics_go_with_their_snapshots)
{
    struct weir_metadata *metadata = parse(document), *next, *last;
    json_t *copy = json_deep_copy(weir_metadata_document(metadata));
    for (int i = 0; i < 2; i++)
        json_object_set_new(copy, i ? "statistics" : "partition-statistics",
                            json_pack("[{s:I, s:s}, {s:I, s:s}]", "snapshot-id", (json_int_t)OLD,
                                      "statistics-path", "old", "snapshot-id", (json_int_t)HEAD,
                                      "statistics-path", "head"));
    char *text = json_dumps(copy, 0);
    next = parse(text);
    cr_assert_eq(apply(next, "",
                       "[{\"action\":\"remove-snapshots\",\"snapshot-ids\":[3051729675574597004]}]",
                       &last),
                 WEIR_OK);
    for (int i = 0; i < 2; i++) {
        const json_t *list = json_object_get(weir_metadata_document(last),
                                             i ? "statistics" : "partition-statistics");
        cr_assert_eq(json_array_size(list), 1);
        cr_expect_str_eq(
            json_string_value(json_object_get(json_array_get(list, 0), "statistics-path")), "head");
    }
    free(text);
    json_decref(copy);
    weir_metadata_free(last);
    weir_metadata_free(next);
    weir_metadata_free(metadata);
}

Test(metadata, properties_location_uuid_and_version)
{
    struct weir_metadata *metadata = parse(document), *next;
    cr_assert_eq(
        apply(metadata, "",
              "[{\"action\":\"set-properties\",\"updates\":{\"b\":\"2\",\"write.metadata.previous-"
              "versions-max\":\"1\"}},"
              "{\"action\":\"remove-properties\",\"removals\":[\"a\",\"nothing\"]},{\"action\":"
              "\"set-location\",\"location\":\"s3://c/t\"},"
              "{\"action\":\"assign-uuid\",\"uuid\":\"9c12d441-03fe-4693-9a96-a0705ddf69c1\"},{"
              "\"action\":\"upgrade-format-version\",\"format-version\":2}]",
              &next),
        WEIR_OK, "%s", error.text);
    cr_assert_null(weir_metadata_property(next, "a"));
    cr_assert_str_eq(weir_metadata_property(next, "b"), "2");
    cr_assert_str_eq(weir_metadata_location(next), "s3://c/t");
    struct weir_metadata *last;
    cr_assert_eq(apply(next, "", "[]", &last), WEIR_OK);
    cr_assert_eq(json_array_size(json_object_get(weir_metadata_document(last), "metadata-log")), 1,
                 "capped by the property");
    weir_metadata_free(last);
    weir_metadata_free(next);
    cr_assert_eq(
        apply(metadata, "",
              "[{\"action\":\"assign-uuid\",\"uuid\":\"00000000-03fe-4693-9a96-a0705ddf69c1\"}]",
              &next),
        WEIR_PRECONDITION);
    cr_assert_eq(apply(metadata, "",
                       "[{\"action\":\"upgrade-format-version\",\"format-version\":1}]", &next),
                 WEIR_USAGE);
    cr_assert_eq(apply(metadata, "",
                       "[{\"action\":\"upgrade-format-version\",\"format-version\":3}]", &next),
                 WEIR_UNSUPPORTED);
    cr_assert_eq(apply(metadata, "", "[{\"action\":\"fly\"}]", &next), WEIR_UNSUPPORTED);
    weir_metadata_free(metadata);
}

Test(metadata, create_fills_in_what_is_left_unsaid)
{
    struct weir_metadata *metadata;
    static const char updates[] =
        "[{\"action\":\"assign-uuid\",\"uuid\":\"9c12d441-03fe-4693-9a96-a0705ddf69c1\"},{"
        "\"action\":\"set-location\",\"location\":\"/w/bronze/t\"},"
        "{\"action\":\"add-schema\",\"schema\":{\"type\":\"struct\",\"fields\":[{\"id\":1,\"name\":"
        "\"x\",\"required\":true,\"type\":\"uuid\"}]}},{\"action\":\"set-current-schema\",\"schema-"
        "id\":-1}]";
    cr_assert_eq(apply(NULL, "{\"type\":\"assert-create\"}", updates, &metadata), WEIR_OK, "%s",
                 error.text);
    expect_member(metadata, "format-version", 2);
    expect_member(metadata, "default-spec-id", 0);
    expect_member(metadata, "default-sort-order-id", 0);
    expect_member(metadata, "last-column-id", 1);
    cr_assert_eq(weir_metadata_spec(metadata)->field_count, 0);
    weir_metadata_free(metadata);
    cr_assert_eq(apply(NULL, "{\"type\":\"assert-table-uuid\",\"uuid\":\"x\"}", updates, &metadata),
                 WEIR_PRECONDITION);
    cr_assert_eq(apply(NULL, "", "[]", &metadata), WEIR_USAGE);
}

Test(metadata, version_1_is_read_and_upgraded)
{
    static const char v1[] =
        "{\"format-version\":1,\"location\":\"s3://b/"
        "t\",\"last-updated-ms\":1,\"last-column-id\":1,\"schema\":{\"type\":\"struct\",\"fields\":"
        "[{\"id\":1,\"name\":\"x\",\"required\":true,\"type\":\"date\"}]},"
        "\"partition-spec\":[{\"name\":\"x\",\"transform\":\"identity\",\"source-id\":1}],"
        "\"current-snapshot-id\":7,"
        "\"snapshots\":[{\"snapshot-id\":7,\"timestamp-ms\":1,\"manifest-list\":\"s3://l\"}]}";
    struct weir_metadata *metadata = parse(v1), *next;
    int64_t id;
    cr_assert_eq(weir_metadata_spec(metadata)->fields[0].field_id, 1000);
    cr_assert(weir_metadata_ref(metadata, "main", &id));
    cr_assert_eq(id, 7);
    cr_assert_eq(apply(metadata, "", "[{\"action\":\"set-properties\",\"updates\":{}}]", &next),
                 WEIR_UNSUPPORTED, "upgrade it first");
    cr_assert_eq(apply(metadata, "",
                       "[{\"action\":\"upgrade-format-version\",\"format-version\":2},{\"action\":"
                       "\"assign-uuid\",\"uuid\":\"9c12d441-03fe-4693-9a96-a0705ddf69c1\"}]",
                       &next),
                 WEIR_OK, "%s", error.text);
    expect_member(next, "format-version", 2);
    expect_member(next, "last-partition-id", 1000);
    cr_assert_null(json_object_get(weir_metadata_document(next), "schema"));
    cr_assert(weir_metadata_ref(next, "main", &id));
    weir_metadata_free(next);
    weir_metadata_free(metadata);
}

Test(metadata, version_3_is_read_and_not_written)
{
    static char v3[sizeof document];
    memcpy(v3, document, sizeof document);
    strstr(v3, ":2,")[1] = '3';
    struct weir_metadata *metadata = parse(v3), *next;
    cr_assert_eq(weir_metadata_format_version(metadata), 3);
    cr_assert_eq(weir_metadata_schema(metadata)->root.child_count, 3);
    cr_assert_not_null(weir_metadata_schema_json(metadata, 0));
    cr_assert_null(weir_metadata_schema_json(metadata, 7));
    cr_assert_eq(apply(metadata, "", "[]", &next), WEIR_UNSUPPORTED);
    cr_assert_not_null(strstr(error.text, "version 3"), "%s", error.text);
    weir_metadata_free(metadata);
}

#define STORED_TYPES (WEIR_MAP + 1) /* an interval is in expressions only */

Test(metadata, schema_there_and_back)
{
    struct weir_type type;
    struct weir_schema schema = {.id = 4}, back;
    json_t *json;
    int32_t last = 0;
    struct weir_field fields[STORED_TYPES] = {0};
    struct weir_field element = {.name = "element", .required = true, .type = {.id = WEIR_INT}};
    struct weir_field pair[2] = {
        {.name = "key", .required = true, .type = {.id = WEIR_STRING}},
        {.name = "value", .type = {.id = WEIR_LIST, .child_count = 1, .children = &element}}};
    struct weir_field inner = {
        .name = "in ner \"quoted\"", .doc = "w\303\244rme", .type = {.id = WEIR_DOUBLE}};
    for (int i = 0; i < STORED_TYPES; i++)
        fields[i] = (struct weir_field){.name = weir_type_name((enum weir_type_id)i),
                                        .required = i % 2,
                                        .type = {.id = (enum weir_type_id)i}};
    fields[WEIR_DECIMAL].type.precision = 38;
    fields[WEIR_DECIMAL].type.scale = 38;
    fields[WEIR_FIXED].type.length = 3;
    fields[WEIR_STRUCT].type = (struct weir_type){
        .id = WEIR_STRUCT, .child_count = 1, .children = &inner};
    fields[WEIR_LIST].type = (struct weir_type){
        .id = WEIR_LIST, .child_count = 1, .children = &element};
    fields[WEIR_MAP].type = (struct weir_type){.id = WEIR_MAP, .child_count = 2, .children = pair};
    type = (struct weir_type){.id = WEIR_STRUCT, .child_count = STORED_TYPES, .children = fields};
    cr_assert_eq(weir_type_copy(&arena, &type, &schema.root, &error), WEIR_OK);
    weir_type_assign_ids(&schema.root, &last);
    cr_assert_eq(weir_schema_to_json(&schema, &json, &error), WEIR_OK, "%s", error.text);
    cr_assert_eq(weir_schema_from_json(&arena, json, &back, &error), WEIR_OK, "%s", error.text);
    json_decref(json);
    cr_assert_eq(back.id, 4);
    cr_assert(weir_type_equal(&schema.root, &back.root, true));
}

static void expect_bad_schema(const char *text)
{
    struct weir_schema schema;
    json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
    cr_assert_not_null(json, "%s", text);
    weir_status status = weir_schema_from_json(&arena, json, &schema, &error);
    cr_assert(status == WEIR_CORRUPT || status == WEIR_UNSUPPORTED, "%s: %s", text,
              weir_status_name(status));
    json_decref(json);
}

Test(metadata, schemas_that_are_none)
{
    static const char *const types[] = {"\"decimal(39,2)\"",
                                        "\"decimal(0,0)\"",
                                        "\"decimal(5,6)\"",
                                        "\"decimal(9\"",
                                        "\"decimal(,)\"",
                                        "\"fixed[]\"",
                                        "\"fixed[99999999999999999999]\"",
                                        "\"fixed[4\"",
                                        "\"variant\"",
                                        "7",
                                        "null",
                                        "{\"type\":\"list\"}",
                                        "{\"type\":\"map\",\"key-id\":1}",
                                        "{\"type\":\"struct\"}",
                                        "{\"type\":\"list\",\"element-id\":1,\"element\":\"int\"}"};
    char text[512];
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        snprintf(text, sizeof text,
                 "{\"type\":\"struct\",\"fields\":[{\"id\":1,\"name\":\"x\",\"required\":true,"
                 "\"type\":%s}]}",
                 types[i]);
        expect_bad_schema(text);
    }
    expect_bad_schema("\"int\"");
    expect_bad_schema(
        "{\"type\":\"struct\",\"fields\":[{\"id\":3000000000,\"name\":\"x\",\"type\":\"int\"}]}");
    expect_bad_schema("{\"type\":\"struct\",\"fields\":[{\"id\":1,\"name\":\"x\",\"type\":\"int\"},"
                      "{\"id\":1,\"name\":\"y\",\"type\":\"int\"}]}");
}

Test(metadata, every_cut_and_changed_byte_ends_in_a_status)
{
    char text[sizeof document];
    struct weir_metadata *metadata;
    for (size_t size = 0; size < sizeof document - 1; size++)
        cr_assert_neq(weir_metadata_parse(&account, document, size, &metadata, &error), WEIR_OK);
    for (size_t at = 0; at < sizeof document - 1; at++)
        for (int to = 0; to < 3; to++) {
            memcpy(text, document, sizeof text);
            text[at] = "0\"{"[to];
            if (weir_metadata_parse(&account, text, sizeof text - 1, &metadata, &error) == WEIR_OK)
                weir_metadata_free(metadata);
        }
}
