SELECT
  "t2"."value" AS "value"
FROM (
  SELECT
    "t1"."value" AS "value",
    MIN("t1"."_pos") AS "_pos"
  FROM (
    SELECT
      "t0"."_row" AS "_pos",
      "t0"."value" AS "value"
    FROM "array_a" AS "t0"
  ) AS "t1"
  GROUP BY
    "t1"."value"
) AS "t2"
ORDER BY
  "t2"."_pos" ASC
