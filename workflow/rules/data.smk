# data: turns a dataset into one index (CSV) per split. The demo set is composed first; its cut-outs also train packaged
# towers.

# Settings of `data` that affect neither the composed set nor the generated true masks.
NOT_OF_DEMO = ["shards", "voc", "coco", "openimages", "folder", "expected", "on_error", "fetch"]
NOT_OF_DEMO += ["captions", "longest_side", "demo.cache", "demo.packages"]
DATA_OF_INDEX = ["captions", "shards", "longest_side", "demo", "folder", "fetch", "expected", "coco.captions"]


rule fetch:
    output:
        sources="<results>/data/sources.json",
    log:
        "<logs>/data/fetch.log",
    benchmark:
        "<benchmarks>/data/fetch.tsv"
    conda:
        "../../environment.yml"
    resources:
        **needs(2000, minutes=30),
    params:
        settings=settings("data", only=["root", "demo.cache", "demo.packages"]),
        code=code_of("stages.data.demo.fetch_packages"),
    shell:
        "python -m stages.data.demo.fetch_packages --settings {params.settings:q} --output {output.sources} &> {log}"


rule compose:
    input:
        sources=rules.fetch.output.sources,
    output:
        set=directory("<results>/data/set"),
    log:
        "<logs>/data/compose.log",
    benchmark:
        "<benchmarks>/data/compose.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        **needs(2000, minutes=30),
    params:
        settings=settings("data", without=NOT_OF_DEMO),
        seed=experiment.seed,
        code=code_of("stages.data.demo.compose"),
    shell:
        "python -m stages.data.demo.compose --settings {params.settings:q} --seed {params.seed}"
        " --processes {threads} --sources {input.sources} --output {output.set} &> {log}"


# For packaged towers with sets other than the demo's, which contains its own cut-outs.
rule prepare_cutouts:
    input:
        sources=rules.fetch.output.sources,
    output:
        cutouts=directory("<results>/data/cutouts"),
    log:
        "<logs>/data/cutouts.log",
    benchmark:
        "<benchmarks>/data/cutouts.tsv"
    conda:
        "../../environment.yml"
    resources:
        **needs(2000, minutes=30),
    params:
        settings=settings("data", only=["root"]),
        code=code_of("stages.data.demo.prepare_cutouts"),
    shell:
        "python -m stages.data.demo.prepare_cutouts --settings {params.settings:q} --sources {input.sources}"
        " --output {output.cutouts} &> {log}"


rule list_classes:
    output:
        classes="<results>/data/classes.txt",
    log:
        "<logs>/data/classes.log",
    benchmark:
        "<benchmarks>/data/classes.tsv"
    conda:
        "../../environment.yml"
    resources:
        **needs(1000, minutes=5),
    params:
        settings=settings("data", only=["format", "root", "classes"]),
        code=code_of("stages.data.list_classes"),
    shell:
        "python -m stages.data.list_classes --settings {params.settings:q} --output {output.classes} &> {log}"


# If the licence allows; otherwise, and without internet, it says which files to put where.
rule fetch_dataset:
    output:
        fetched="<results>/data/fetched.json",
    log:
        "<logs>/data/fetch_dataset.log",
    benchmark:
        "<benchmarks>/data/fetch_dataset.tsv"
    conda:
        "../../environment.yml"
    resources:
        **needs(2000, minutes=1440),
    params:
        settings=settings("data", only=["format", "root", "classes", "voc.sbd"]),
        root=dataset_root,
        splits=["train", "val"],
        code=code_of("stages.data.fetch_dataset"),
    message:
        "Fetching the dataset. Follow it with: tail -f {log}"
    shell:
        "python -m stages.data.fetch_dataset --settings {params.settings:q} --root {params.root:q}"
        " --splits {params.splits} --output {output.fetched} &> {log}"


# Test's archive is fetched separately, so that test can be added later without retraining anything.
use rule fetch_dataset as fetch_test with:
    output:
        fetched="<results>/data/fetched_test.json",
    log:
        "<logs>/data/fetch_test.log",
    benchmark:
        "<benchmarks>/data/fetch_test.tsv"
    params:
        splits=["test"],


rule make_truth:
    input:
        **plan.dataset.inputs,
        lists=lambda wildcards: plan.dataset.lists(wildcards.split),
    output:
        masks=directory("<results>/data/masks/{split}"),
    log:
        "<logs>/data/masks/{split}.log",
    benchmark:
        "<benchmarks>/data/masks/{split}.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        **needs(6000, minutes=240),
    params:
        settings=settings("data", without=DATA_OF_INDEX),
        root=dataset_root,
        options="",
        code=code_of("stages.data.make_truth"),
    shell:
        "python -m stages.data.make_truth --settings {params.settings:q} --split {wildcards.split} {params.options}"
        " --root {params.root:q} --processes {threads} --output {output.masks} &> {log}"


# The masks of wsolevaluation's protocol: merged at its size, not the image's.
use rule make_truth as make_localization_truth with:
    output:
        masks=directory("<results>/data/localization/{split}"),
    log:
        "<logs>/data/localization/{split}.log",
    benchmark:
        "<benchmarks>/data/localization/{split}.tsv"
    params:
        options="--side 224",


rule make_index:
    input:
        unpack(lambda wildcards: plan.dataset.index_inputs(wildcards.split)),
    output:
        index="<results>/data/{split}.csv",
        left_out=shown(
            "<results>/data/left_out/{split}.csv",
            "left_out",
            "Data",
            split="{split}",
            shows="images left out, and why",
        ),
    log:
        "<logs>/data/index/{split}.log",
    benchmark:
        "<benchmarks>/data/index/{split}.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        **needs(6000, minutes=240),
    params:
        settings=settings("data", without=["shards", "longest_side", "demo", "fetch"]),
        root=dataset_root,
        options=given("masks"),
        code=code_of("stages.data.make_index"),
    shell:
        "python -m stages.data.make_index --settings {params.settings:q} --split {wildcards.split} {params.options}"
        " --root {params.root:q} --processes {threads} --left-out {output.left_out} --output {output.index} &> {log}"


# The images of several splits, for the localizer (`localize.splits`) and for scores of them together.
rule join_indexes:
    input:
        indexes=lambda wildcards: list(map(plan.files.index, parts_of(wildcards.joined))),
    output:
        index="<results>/data/{joined}.csv",
    log:
        "<logs>/data/index/{joined}.log",
    benchmark:
        "<benchmarks>/data/index/{joined}.tsv"
    wildcard_constraints:
        joined=r"(train|val)(\+(val|test))+",
    conda:
        "../../environment.yml"
    resources:
        **needs(1000, minutes=5),
    params:
        code=code_of("stages.data.join_indexes"),
    shell:
        "python -m stages.data.join_indexes --indexes {input.indexes} --output {output.index} &> {log}"


rule draw_sheet:
    input:
        **plan.dataset.inputs,
        index=rules.make_index.output.index,
    output:
        sheet=shown(
            "<results>/data/sheets/{split}.jpg", "sheet", "Data", split="{split}", shows="images, tags and true masks"
        ),
    log:
        "<logs>/data/sheets/{split}.log",
    benchmark:
        "<benchmarks>/data/sheets/{split}.tsv"
    conda:
        "../../environment.yml"
    resources:
        **needs(2000, minutes=30),
    params:
        settings=settings("data", only=["format", "root", "classes"]),
        root=dataset_root,
        code=code_of("stages.data.draw_sheet"),
    shell:
        "python -m stages.data.draw_sheet --settings {params.settings:q} --index {input.index}"
        " --root {params.root:q} --output {output.sheet} &> {log}"
