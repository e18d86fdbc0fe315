/* Between the files of `weir query`. */
#ifndef WEIR_TOOLS_WEIR_QUERY_H
#define WEIR_TOOLS_WEIR_QUERY_H

#include "scheduler/query/query.h"
#include "tools/weir/cli.h"

weir_status query_statement(struct cli *cli, struct weir_query_session *session, const char *text,
                            struct weir_error *reterr);
/* Statements typed by hand, with history and completion; ends with Ctrl-D or \q. */
weir_status query_prompt(struct cli *cli, struct weir_query_session *session,
                         struct weir_error *reterr);

/* Rows in the form of -o. */
struct query_printer;
weir_status query_printer_new(struct cli *cli, struct query_printer **ret_printer,
                              struct weir_error *reterr);
weir_status query_printer_begin(void *printer, const struct weir_type *type,
                                struct weir_error *reterr);
weir_status query_printer_batch(void *printer, const struct weir_batch *batch,
                                struct weir_error *reterr);
weir_status query_printer_finish(struct query_printer *printer, struct weir_error *reterr);
void query_printer_free(struct query_printer *printer); /* NULL-safe */

#endif
