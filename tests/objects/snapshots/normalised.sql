SELECT
  "t0"."value" / (
    SELECT
      SUM("t1"."value") AS "value"
    FROM "array_a" AS "t1"
  ) AS "value"
FROM "array_a" AS "t0"
ORDER BY
  "t0"."_row" ASC
