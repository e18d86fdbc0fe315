/* Inside of compaction: compact.c plans and commits slice by slice, compact_rows.c writes the rows
 * of a group's files anew, compact_order.c in Kafka's order, compact_check.c reads what was
 * written. Private to the room. */
#ifndef WEIR_SCHEDULER_UPKEEP_COMPACT_INT_H
#define WEIR_SCHEDULER_UPKEEP_COMPACT_INT_H

#include "engine/vec/scan.h"
#include "scheduler/upkeep/compact_plan.h"
#include "scheduler/upkeep/upkeep.h"
#include "scheduler/window/table_writer.h"

struct compaction {
    const struct weir_upkeep_options *options;
    struct weir_lake *lake;
    const char *name;
    struct weir_table *table; /* as loaded last */
    uint64_t target;
    int64_t small_files;

    /* of one round: the table as it was loaded, until its slice is committed */
    struct weir_arena arena;
    int64_t head, epoch;
    struct weir_manifest_entry *entries;
    size_t entry_count;
    struct compact_rules rules;
    struct compact_plan plan;
    struct weir_shape shape;
    struct weir_table_config config; /* the table's, as far as writing its files goes */
    struct weir_table_source source; /* operations NULL: not opened */
    const char **wanted;             /* paths of the group that is read, sorted */
    size_t wanted_count;
    struct weir_arena flat; /* of a batch on its way to the writer */

    /* what has been done, for the outcome */
    int64_t files_removed, files_added, deletes_removed, bytes_read, bytes_written, rows, commits;
};

/* compact_digest.c. Rows in their order: same digests, same rows. Both of the same type. */
struct compact_digest;
weir_status compact_digest_new(struct weir_account *account, const struct weir_type *type,
                               struct compact_digest **ret_digest,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status compact_digest_add(struct compact_digest *digest, const struct weir_batch *flat,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
bool compact_digest_same(const struct compact_digest *a, const struct compact_digest *b);
void compact_digest_free(struct compact_digest *digest); /* NULL-safe */

/* What became of a group's files. */
struct compact_written {
    struct weir_table_writer *writer; /* owns files */
    struct weir_table_files files;    /* its hash: of the rows as they came to the writer */
    bool sorted;                      /* in between */
    struct weir_row_hash read;        /* of the rows as they were read */
    struct weir_row_hash again;       /* of the rows of the new files, read back */
    struct compact_digest *order;     /* of the rows as they came to the writer; NULL: they were
                                         spread over partitions, and have no order */
};

/* compact_rows.c. The table's shape, and how its files are written; of the round. */
weir_status compact_rows_begin(struct compaction *compaction,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
/* Rows that are not deleted, in order, to new files. ret_written's writer and order are the
 * caller's to free, on failure too. */
weir_status compact_rows_write(struct compaction *compaction, const struct compact_group *group,
                               struct compact_written *ret_written,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
void compact_rows_end(struct compaction *compaction);

/* Numbers of the scan's morsels, file by file in the group's order; in the round's arena. */
weir_status compact_rows_morsels(struct compaction *compaction, const struct compact_group *group,
                                 struct weir_scan *scan, size_t **ret_morsels, size_t *ret_count,
                                 struct weir_error *reterr) WEIR_MUST_CHECK;
/* A batch of any kind of vectors to the group's writer. */
weir_status compact_rows_add(struct compaction *compaction, struct compact_written *written,
                             const struct weir_batch *batch,
                             struct weir_error *reterr) WEIR_MUST_CHECK;
/* compact_order.c. Rows of a table filled from Kafka by topic, partition and offset. AS_IT_LIES:
 * they are in order, or have none, and nothing has been written; TO_BE_SORTED: the same, but they
 * are not. */
enum compact_order { COMPACT_AS_IT_LIES, COMPACT_IN_ORDER, COMPACT_TO_BE_SORTED };
weir_status compact_order_rows(struct compaction *compaction, const struct compact_group *group,
                               struct compact_written *written, enum compact_order *ret_order,
                               struct weir_error *reterr) WEIR_MUST_CHECK;

/* compact_check.c. Reads the new files and adds up their rows' hash. */
weir_status compact_check_read(struct compaction *compaction, struct compact_written *written,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
/* The rows that were read are those that were written, and none of the files' is missing: else
 * CORRUPT, and both lists lie in the lake. */
weir_status compact_check(struct compaction *compaction, const struct compact_group *group,
                          const struct compact_written *written,
                          struct weir_error *reterr) WEIR_MUST_CHECK;
/* Lists of files with rows and hash, for receipts and reports. New references. */
json_t *compact_list_read(const struct compact_group *groups, size_t count);
json_t *compact_list_written(const struct compact_written *written, size_t count);

#endif
