SELECT
  "t0"."value" + 1 AS "value"
FROM "array_a" AS "t0"
ORDER BY
  "t0"."_row" ASC
