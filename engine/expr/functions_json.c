/* Functions: json. */
#include "engine/expr/function_int.h"

const struct weir_function functions_json[] = {
    {0},
};
