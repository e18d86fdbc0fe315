/* Landing: data files -> manifest -> manifest list -> one catalog update, and what to believe when
 * the answer is lost. protocol.md 1, 4 and 9. One path for windows, retries, gaps, rebinds and (by
 * files removed) quarantine tables. */
#ifndef WEIR_SCHEDULER_COMMIT_LAND_H
#define WEIR_SCHEDULER_COMMIT_LAND_H

#include "formats/iceberg/manifest.h"
#include "scheduler/commit/state.h"

/* A warehouse and the run that writes to it. */
struct weir_lake {
    struct weir_context *context;
    struct weir_object_store store;
    struct weir_catalog catalog;
    const char *run_id; /* names this run in every snapshot */
    const char *config_digest;
    const char *actor, *reason; /* receipts of what a person did; NULL */
};

enum weir_landing {
    WEIR_LANDED,     /* our snapshot is in the branch */
    WEIR_SUPERSEDED, /* somebody landed the same work: nothing to do, nothing deleted */
    WEIR_ABANDONED,  /* the base moved in another way: plan anew */
};

enum weir_test { WEIR_TEST_GO, WEIR_TEST_DONE, WEIR_TEST_DROP };

/* What is to be landed. Callbacks run again for every attempt, on the attempt's own base. */
struct weir_work {
    const char *kind;      /* weir.kind: window, retry, letters, gap, rebind, ... */
    const char *operation; /* "append", "overwrite", "delete"; an empty append moves the ref only */
    int64_t epoch;         /* of the state the work was computed from */
    enum weir_test (*test)(void *self, const json_t *state); /* section 4's comparison */
    /* Overlays what this work advances on a copy of the base's state. snapshot_id names what it
     * uploads. NULL = nothing. */
    weir_status (*overlay)(void *self, json_t *state, int64_t snapshot_id,
                           struct weir_error *reterr);
    void *self;
    const struct weir_data_file *files; /* added */
    size_t file_count;
    /* Instead of appending: the table becomes exactly `files` (quarantine tables). Files already
     * there by path are kept. */
    bool replace_all;
    /* Files that leave in the same commit, by path, data files and delete files; the rest stays (a
     * rewrite). With them `base`. */
    const char *const *removed;
    size_t removed_count;
    int64_t base; /* the head the files were computed from: on any other the work is abandoned; 0 =
                     any head does */
    /* With `base` and `removed`: on a later head too, as long as every removed file is in it and no
     * delete file has come since. For what stands by itself, file by file: upkeep. */
    bool follows;
    /* A tag set in the same commit, NULL = none: at a snapshot that is there. Main moves, so that
     * an expiry in flight loses (protocol.md 8). */
    const char *tag;
    int64_t tag_snapshot;
    int64_t tag_age_ms; /* its max-ref-age-ms; 0: none */
    /* A branch of this name is made at main's head instead of moving main: a candidate. NULL =
     * main. See weir_publish. */
    const char *branch;
    json_t *summary; /* texts of this commit alone, weir.ranges; borrowed, may be NULL */
    json_t *receipt; /* body of the receipt; landing adds the rest; borrowed, may be NULL */
    /* A schema to set in the same commit, NULL = none. */
    const struct weir_schema *schema;
    json_t *properties; /* object of texts to set, borrowed, may be NULL; of a branch: when it is
                           published */
};

/* *table is the loaded base; replaced by what was loaded last. ret_snapshot_id may be NULL. Fails
 * with UNAVAILABLE / TIMEOUT (75) when an uncertain answer was not settled in time; the next run
 * settles it. */
weir_status weir_land(struct weir_lake *lake, struct weir_table **table,
                      const struct weir_work *work, enum weir_landing *ret_landing,
                      int64_t *ret_snapshot_id, struct weir_error *reterr) WEIR_MUST_CHECK;

/* Makes a candidate (a child of main's head on `branch`) the head of main, and drops the branch, in
 * one commit; lake->reason is kept in the property weir.accepted. WEIR_ABANDONED: main has moved
 * since; WEIR_SUPERSEDED: it was published already. */
weir_status weir_publish(struct weir_lake *lake, struct weir_table **table, const char *branch,
                         enum weir_landing *ret_landing, struct weir_error *reterr) WEIR_MUST_CHECK;
/* Drops a branch or tag that is at `snapshot_id`; nothing when it is not there. */
weir_status weir_drop_ref(struct weir_lake *lake, struct weir_table **table, const char *ref,
                          struct weir_error *reterr) WEIR_MUST_CHECK;
/* Sets a tag at main's head, which must be `snapshot_id`: else *ret_moved, and nothing is done. The
 * tag may be there already, at another snapshot: it moves. */
weir_status weir_tag_head(struct weir_lake *lake, struct weir_table **table, const char *tag,
                          int64_t snapshot_id, bool *ret_moved,
                          struct weir_error *reterr) WEIR_MUST_CHECK;

/* Sets a tag at a snapshot that is there, wherever main is; a tag of that name moves. NOT_FOUND:
 * the snapshot is gone. */
weir_status weir_tag_snapshot(struct weir_lake *lake, struct weir_table **table, const char *tag,
                              int64_t snapshot_id, struct weir_error *reterr) WEIR_MUST_CHECK;

/* A table to be born with an empty snapshot that holds its start offsets, in one request. */
struct weir_birth {
    const char *name;
    const struct weir_schema *schema; /* ids assigned, from 1 */
    const struct weir_partition_spec *spec;
    json_t *sort_order; /* REST form, borrowed, NULL = unsorted */
    json_t *properties; /* object of texts, borrowed */
    json_t *state;      /* borrowed */
};
/* Creates it; when somebody was first, loads theirs. ret_made tells which. */
weir_status weir_table_create(struct weir_lake *lake, const struct weir_birth *birth,
                              struct weir_table **ret_table, bool *ret_made,
                              struct weir_error *reterr) WEIR_MUST_CHECK;

/* All live data files of a snapshot, in manifest order; texts in the arena. */
weir_status weir_snapshot_files(struct weir_lake *lake, const struct weir_metadata *metadata,
                                int64_t snapshot_id, struct weir_arena *arena,
                                struct weir_manifest_entry **ret_entries, size_t *ret_count,
                                struct weir_error *reterr) WEIR_MUST_CHECK;
/* Data files that only `to` has, and that only `from` has: what changed in between, whatever the
 * path (a rolled-back table has its difference too). Manifests that both list are not read.
 * *ret_deletes: rows were deleted in place meanwhile (delete files differ), so that files in both
 * may have changed as well. from = 0: the empty table. */
struct weir_difference {
    struct weir_manifest_entry *added, *removed;
    size_t added_count, removed_count;
    int64_t added_rows, removed_rows;
    bool deletes;
};
weir_status weir_snapshot_difference(struct weir_lake *lake, const struct weir_metadata *metadata,
                                     int64_t from, int64_t to, struct weir_arena *arena,
                                     struct weir_difference *ret_difference,
                                     struct weir_error *reterr) WEIR_MUST_CHECK;
/* Writes an immutable object under a name that is this attempt's alone; a lost answer is settled by
 * what lies there, and sent once more when nothing does. */
weir_status weir_put_own(struct weir_lake *lake, const char *name, const void *data, size_t size,
                         struct weir_error *reterr) WEIR_MUST_CHECK;
/* Name relative to the store of a location in metadata; NULL if it lies outside. */
const char *weir_store_name(const struct weir_object_store *store, const char *location);
/* A random positive snapshot id that the table does not have. */
int64_t weir_snapshot_id(struct weir_context *context, const struct weir_metadata *metadata);

/* Receipts: name of a snapshot's receipt (512 bytes suffice), and the nearest ancestor's name (""
 * if none). */
void weir_receipt_name(char *ret_name, size_t size, const char *table_uuid, int64_t snapshot_id);

/* Lets a second catalog, one that speaks REST, know a table as it is now. DECISION: it knows
 * another table of that name, or one with commits of its own, or will not move on the one it knows.
 */
enum weir_registration { WEIR_REGISTERED, WEIR_REGISTERED_ANEW, WEIR_REGISTERED_ALREADY };
weir_status weir_register(const struct weir_table *table, const struct weir_catalog *second,
                          enum weir_registration *ret_registration,
                          struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
