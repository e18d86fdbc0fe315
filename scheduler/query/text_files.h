/* NDJSON and CSV files as one table. Private to the room.
 *
 * The schema is inferred from a sample: the beginning of the first file and of some others. Columns
 * are never required. A record that does not fit it ends the query with file, line and position:
 * a query never leaves rows out. */
#ifndef WEIR_SCHEDULER_QUERY_TEXT_FILES_H
#define WEIR_SCHEDULER_QUERY_TEXT_FILES_H

#include "connectors/file/file_source.h"
#include "engine/vec/scan.h"

enum query_text_format { QUERY_TEXT_NONE, QUERY_TEXT_NDJSON, QUERY_TEXT_CSV };

/* By the end of the name: .ndjson .jsonl .json .csv .tsv, with .gz .zst .lz4 behind or not. */
enum query_text_format query_text_format_of(const char *path);

/* files[0..count), count > 0: borrowed, must outlive the source, as the account; entries: copied.
 * USAGE: the sample is not of the format. */
weir_status query_text_source(struct weir_account *account, enum query_text_format format,
                              struct weir_file *const *files, const struct weir_file_entry *entries,
                              size_t count, struct weir_table_source *ret_source,
                              struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
