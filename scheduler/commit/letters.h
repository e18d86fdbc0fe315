/* Refused rows: files under _weir/letters/ uploaded before the data commit, and the immutable list
 * of those in force that the data commit names (weir.letters). The quarantine table is then made
 * equal to that list. protocol.md 3.
 *
 * A promotion that passes over rows because they came after their group was closed keeps them the
 * same way, in a list of its own (weir.late) and the table {table}__late. protocol.md 6.
 *
 * A list is {"files": [file, ...]} sorted by path; a file is {"path", "rows", "size", "digest",
 * "leaves": [...], "ranges": {"cluster/topic/incarnation/partition": [first, last]}} (ranges absent
 * for file sources). */
#ifndef WEIR_SCHEDULER_COMMIT_LETTERS_H
#define WEIR_SCHEDULER_COMMIT_LETTERS_H

#include "scheduler/commit/land.h"

#define WEIR_LETTERS "letters" /* key of the state, and so of the list */
#define WEIR_LATE    "late"

/* Reads the list a state names; {"files": []} when it names none. New reference. */
weir_status weir_letters_read(struct weir_lake *lake, const json_t *state, const char *which,
                              json_t **ret_list, struct weir_error *reterr) WEIR_MUST_CHECK;
/* Writes a list under a name that carries the snapshot id and sets the state's key to it. Sorts
 * the list. */
weir_status weir_letters_write(struct weir_lake *lake, const char *table_uuid, int64_t snapshot_id,
                               const char *which, json_t *list, json_t *state,
                               struct weir_error *reterr) WEIR_MUST_CHECK;

/* The list a state names without the files of `gone` (object: path -> anything) and with those of
 * `added` (array of files; borrowed, may be NULL), written and set in the state as above. */
weir_status weir_letters_change(struct weir_lake *lake, const char *table_uuid, int64_t snapshot_id,
                                const char *which, const json_t *gone, json_t *added, json_t *state,
                                struct weir_error *reterr) WEIR_MUST_CHECK;

/* A data file's description as JSON (new reference) and back (texts in the arena). Ledger of
 * letters; receipts use it too. */
json_t *weir_data_file_to_json(const struct weir_data_file *file, const char *digest);
weir_status weir_data_file_from_json(struct weir_arena *arena, const json_t *json,
                                     struct weir_data_file *ret_file,
                                     struct weir_error *reterr) WEIR_MUST_CHECK;

/* Makes the quarantine table hold exactly the files of the data table's head list; creates it when
 * first needed. Nothing to do is OK; PRECONDITION when other runs were faster each time (nothing is
 * lost, the next run finishes it). *quarantine may be NULL on the way in (not loaded yet). */
weir_status weir_quarantine_sync(struct weir_lake *lake, const struct weir_table *data,
                                 const char *which, const struct weir_birth *birth,
                                 struct weir_table **quarantine,
                                 struct weir_error *reterr) WEIR_MUST_CHECK;

/* Verifying a table: the chain of receipts, the accounting of every range, every file's presence
 * and size. */
struct weir_verify_options {
    bool deep; /* read every file: the digest it was written with, and the rows themselves by their
                  hash */
};
/* *ret_report: {"table", "snapshots", "receipts", "rows", "files", "partitions": {...}, "problems":
 * [text...], "notes": [text...]}; new reference. */
weir_status weir_verify(struct weir_lake *lake, const struct weir_table *table,
                        const struct weir_verify_options *options, json_t **ret_report,
                        struct weir_error *reterr) WEIR_MUST_CHECK;
/* The same for the quarantine table of `data`, its problems added to data's report; a note if it
 * lags behind the list of letters. */
weir_status weir_verify_quarantine(struct weir_lake *lake, const struct weir_table *data,
                                   const struct weir_table *quarantine,
                                   const struct weir_verify_options *options, json_t *report,
                                   struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
