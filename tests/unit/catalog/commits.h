/* The commits that the catalogs' tests send: a table with one empty snapshot, and the next snapshot
 * on main. */
#ifndef WEIR_TESTS_UNIT_CATALOG_COMMITS_H
#define WEIR_TESTS_UNIT_CATALOG_COMMITS_H

#include "formats/iceberg/catalog.h"

#include <criterion/criterion.h>

static void add_snapshot(struct weir_commit *commit, int64_t id, int64_t parent,
                         int64_t sequence_number, int64_t time)
{
    json_t *snapshot = json_pack(
        "{s:I, s:I, s:I, s:s, s:i, s:{s:s}}", "snapshot-id", (json_int_t)id, "sequence-number",
        (json_int_t)sequence_number, "timestamp-ms", (json_int_t)time, "manifest-list",
        "s3://lake/wh/l.avro", "schema-id", 0, "summary", "operation", "append");
    if (parent != -1)
        json_object_set_new(snapshot, "parent-snapshot-id", json_integer(parent));
    cr_assert_eq(
        weir_commit_update(
            commit, json_pack("{s:s, s:o}", "action", "add-snapshot", "snapshot", snapshot), NULL),
        WEIR_OK);
    cr_assert_eq(weir_commit_update(commit,
                                    json_pack("{s:s, s:s, s:s, s:I}", "action", "set-snapshot-ref",
                                              "ref-name", "main", "type", "branch", "snapshot-id",
                                              (json_int_t)id),
                                    NULL),
                 WEIR_OK);
}

static weir_status create_table(struct weir_catalog *catalog, const char *name, int64_t snapshot_id,
                                struct weir_table **ret_table, struct weir_error *reterr)
{
    static const char schema[] = "{\"type\":\"struct\",\"fields\":[{\"id\":1,\"name\":\"x\","
                                 "\"required\":true,\"type\":\"long\"}]}";
    struct weir_commit commit;
    cr_assert_eq(weir_commit_init(&commit, NULL), WEIR_OK);
    cr_assert_eq(weir_commit_update(&commit,
                                    json_pack("{s:s, s:o}", "action", "add-schema", "schema",
                                              json_loads(schema, 0, NULL)),
                                    NULL),
                 WEIR_OK);
    cr_assert_eq(
        weir_commit_update(&commit,
                           json_pack("{s:s, s:i}", "action", "set-current-schema", "schema-id", -1),
                           NULL),
        WEIR_OK);
    add_snapshot(&commit, snapshot_id, -1, 1, 1700000000000);
    weir_status status = catalog->operations->create(catalog->self, name, &commit, ret_table,
                                                     reterr);
    weir_commit_done(&commit);
    return status;
}

/* One more snapshot on main, with main and uuid asserted. */
static __attribute__((unused)) weir_status append(struct weir_catalog *catalog,
                                                  const struct weir_table *base, int64_t id,
                                                  struct weir_table **ret_table,
                                                  struct weir_error *reterr)
{
    struct weir_commit commit;
    int64_t parent;
    cr_assert(weir_metadata_ref(base->metadata, "main", &parent));
    cr_assert_eq(weir_commit_init(&commit, NULL), WEIR_OK);
    cr_assert_eq(weir_commit_require_uuid(&commit, weir_metadata_uuid(base->metadata), NULL),
                 WEIR_OK);
    cr_assert_eq(weir_commit_require_ref(&commit, "main", parent, NULL), WEIR_OK);
    add_snapshot(&commit, id, parent, weir_metadata_last_sequence_number(base->metadata) + 1,
                 weir_metadata_last_updated_ms(base->metadata) + 1);
    weir_status status = catalog->operations->commit(catalog->self, base, &commit, ret_table,
                                                     reterr);
    weir_commit_done(&commit);
    return status;
}

static __attribute__((unused)) int64_t head_of(const struct weir_table *table)
{
    int64_t id = -1;
    weir_metadata_ref(table->metadata, "main", &id);
    return id;
}

#endif
