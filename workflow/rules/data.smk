# data: a dataset becomes one index (CSV) a split. The demo set is composed first; its cut-outs teach packaged towers too.


rule fetch:
    output:
        sources="results/{experiment}/data/sources.json",
    log:
        "logs/{experiment}/data/fetch.log",
    benchmark:
        "results/{experiment}/benchmarks/data/fetch.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=memory(2000),
        runtime=30,
    params:
        settings=settings("data", only=["root", "demo.cache", "demo.packages"]),
        code=code_of("stages.data.fetch"),
    shell:
        "python -m stages.data.fetch --settings {params.settings:q} --output {output.sources} &> {log}"


rule compose:
    input:
        sources=rules.fetch.output.sources,
    output:
        set=directory("results/{experiment}/data/set"),
    log:
        "logs/{experiment}/data/compose.log",
    benchmark:
        "results/{experiment}/benchmarks/data/compose.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=0,
        mem_mb=memory(4000),
        runtime=30,
    params:
        settings=settings("data", without=["captions", *NOT_OF_DEMO]),
        seed=experiment.seed,
        code=code_of("stages.data.compose"),
    shell:
        "python -m stages.data.compose --settings {params.settings:q} --seed {params.seed}"
        " --processes {threads} --sources {input.sources} --output {output.set} &> {log}"


# For packaged towers where the set is not the demo's, whose own cut-outs lie in it.
rule prepare_cutouts:
    input:
        sources=rules.fetch.output.sources,
    output:
        cutouts=directory("results/{experiment}/data/cutouts"),
    log:
        "logs/{experiment}/data/cutouts.log",
    benchmark:
        "results/{experiment}/benchmarks/data/cutouts.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=memory(2000),
        runtime=30,
    params:
        settings=settings("data", only=["root"]),
        code=code_of("stages.data.prepare_cutouts"),
    shell:
        "python -m stages.data.prepare_cutouts --settings {params.settings:q} --sources {input.sources}"
        " --output {output.cutouts} &> {log}"


rule list_classes:
    output:
        classes="results/{experiment}/data/classes.txt",
    log:
        "logs/{experiment}/data/classes.log",
    benchmark:
        "results/{experiment}/benchmarks/data/classes.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=memory(1000),
        runtime=5,
    params:
        settings=settings("data", only=["format", "root", "classes"]),
        code=code_of("stages.data.list_classes"),
    shell:
        "python -m stages.data.list_classes --settings {params.settings:q} --output {output.classes} &> {log}"


# Where the licence allows; otherwise, and without internet, it says which files to put where.
rule fetch_dataset:
    output:
        fetched="results/{experiment}/data/fetched.json",
    log:
        "logs/{experiment}/data/fetch_dataset.log",
    benchmark:
        "results/{experiment}/benchmarks/data/fetch_dataset.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=memory(2000),
        runtime=1440,
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


# Test's archive comes by itself, so that test can be added later without training anything again.
use rule fetch_dataset as fetch_test with:
    output:
        fetched="results/{experiment}/data/fetched_test.json",
    log:
        "logs/{experiment}/data/fetch_test.log",
    benchmark:
        "results/{experiment}/benchmarks/data/fetch_test.tsv"
    params:
        splits=["test"],


rule make_truth:
    input:
        **dataset(),
        lists=split_list,
    output:
        masks=directory("results/{experiment}/data/masks/{split}"),
    log:
        "logs/{experiment}/data/masks/{split}.log",
    benchmark:
        "results/{experiment}/benchmarks/data/masks/{split}.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=0,
        mem_mb=memory(6000),
        runtime=240,
    params:
        settings=settings("data", without=DATA_OF_INDEX),
        root=dataset_root,
        options="",
        code=code_of("stages.data.make_truth"),
    shell:
        "python -m stages.data.make_truth --settings {params.settings:q} --split {wildcards.split} {params.options}"
        " --root {params.root:q} --processes {threads} --output {output.masks} &> {log}"


# The masks of wsolevaluation's protocol: united at its size, not at that of the image.
use rule make_truth as make_localization_truth with:
    output:
        masks=directory("results/{experiment}/data/localization/{split}"),
    log:
        "logs/{experiment}/data/localization/{split}.log",
    benchmark:
        "results/{experiment}/benchmarks/data/localization/{split}.tsv"
    params:
        settings=settings("data", without=DATA_OF_INDEX),
        root=dataset_root,
        options="--side 224",
        code=code_of("stages.data.make_truth"),


rule make_index:
    input:
        **dataset(),
        **made_masks(),
        lists=split_list,
        # Where it is missing, `make_index` says so in its own words.
        captions=[path for path in [experiment.data.captions] if path and path.is_file()],
    output:
        index="results/{experiment}/data/{split}.csv",
        left_out=report(
            "results/{experiment}/data/left_out/{split}.csv",
            caption="../report/left_out.rst",
            category="Data",
            labels={"split": "{split}", "shows": "images left out, and why"},
        ),
    log:
        "logs/{experiment}/data/index/{split}.log",
    benchmark:
        "results/{experiment}/benchmarks/data/index/{split}.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=0,
        mem_mb=memory(6000),
        runtime=240,
    params:
        settings=settings("data", without=["shards", "demo", "fetch"]),
        root=dataset_root,
        options=lambda wildcards, input: f"--masks {input.masks}" if made_masks() else "",
        code=code_of("stages.data.make_index"),
    shell:
        "python -m stages.data.make_index --settings {params.settings:q} --split {wildcards.split} {params.options}"
        " --root {params.root:q} --processes {threads} --left-out {output.left_out} --output {output.index} &> {log}"


# The images of several splits, for the localizer (`localize.splits`) and for scores of them together.
rule join_indexes:
    input:
        indexes=lambda wildcards: results("data/{split}.csv", split=parts_of(wildcards.joined)),
    output:
        index="results/{experiment}/data/{joined}.csv",
    log:
        "logs/{experiment}/data/index/{joined}.log",
    benchmark:
        "results/{experiment}/benchmarks/data/index/{joined}.tsv"
    wildcard_constraints:
        joined=r"(train|val)(\+(val|test))+",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=memory(1000),
        runtime=5,
    params:
        code=code_of("stages.data.join_indexes"),
    shell:
        "python -m stages.data.join_indexes --indexes {input.indexes} --output {output.index} &> {log}"


rule draw_sheet:
    input:
        **dataset(),
        index=rules.make_index.output.index,
    output:
        sheet=report(
            "results/{experiment}/data/sheets/{split}.jpg",
            caption="../report/sheet.rst",
            category="Data",
            labels={"split": "{split}", "shows": "images, tags and true masks"},
        ),
    log:
        "logs/{experiment}/data/sheets/{split}.log",
    benchmark:
        "results/{experiment}/benchmarks/data/sheets/{split}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=memory(2000),
        runtime=30,
    params:
        settings=settings("data", only=["format", "root", "classes"]),
        root=dataset_root,
        code=code_of("stages.data.draw_sheet"),
    shell:
        "python -m stages.data.draw_sheet --settings {params.settings:q} --index {input.index}"
        " --root {params.root:q} --output {output.sheet} &> {log}"
