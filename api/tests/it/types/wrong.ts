// Each line that follows is refused for the reason at its end.
Functions.dubble({ n: 1 }); // TS2551
Functions.double({ n: "1" }); // TS2322
Functions.double({}); // TS2345
Functions.double({ n: 1, m: 2 }); // TS2353
Plane.workItem; // TS2551
Plane.workItems.retrieve(workspaceSlug); // TS2554
process.env.TOKEN; // TS2580
document.title; // TS2584
Buffer.from("a"); // TS2580
ENV.TOKEN = "a"; // TS2542
require("fs"); // TS2580
fetch("https://example.com", { redirect: "maybe" }); // TS2322
